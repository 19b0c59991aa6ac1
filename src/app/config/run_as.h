// Which user the servers run as.
#pragma once

#include "app/config/settings.h"
#include "base/result.h"

namespace millrace::app {

/// Started by root, this process becomes the user of `process.run_as`, or the system user "millrace", before
/// it starts anything; the data directory is given to that user, and what he needs of root's own directories
/// is brought within his reach. Started by anybody else it only checks that nobody else is asked for.
/// Relative paths of the settings become absolute. With one thread. `brings_servers`: as `up` does, which has
/// a data directory and starts programs. Errors: kInvalid, saying what to do; kFatal.
[[nodiscard]] base::Result<void> become_unprivileged(Settings& settings, bool brings_servers);

}  // namespace millrace::app
