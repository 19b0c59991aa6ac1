// Writes that failed, and what the engine makes of them.
#pragma once

namespace millrace::warehouse {

/// The embedded engine (26.7.3) takes no notice when write() fails: with a full disk it acknowledges inserts
/// whose files are empty, and replaces parts by merges that are. It does notice when fsync() fails. So this
/// program stands between the engine and the system's write, fsync, fdatasync and close: a regular file whose
/// write failed also fails its sync, with the same error, and the insert or merge is refused. A file that is
/// closed after such a failure, with no sync in its folder that said so, ends the program: nothing may be
/// built on it, and the next start removes what is unfinished.
///
/// The definitions take effect by being in the executable; this call only makes sure that they are linked,
/// and that a file size limit is an error like the others and not a signal.
void watch_failed_writes();

/// Exit code of the program when a file was closed over a failed write.
inline constexpr int kExitFailedWrite = 4;

}  // namespace millrace::warehouse
