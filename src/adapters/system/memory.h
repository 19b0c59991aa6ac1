// Memory of the process as the system sees it.
#pragma once

namespace millrace::adapters::system {

/// Gives memory that was freed back to the system: after work that took much of it and is not done often. The
/// allocator would keep it for the next such work. Takes some milliseconds.
void release_free_memory();

}  // namespace millrace::adapters::system
