// How much of the processor a thread asks for.
#pragma once

namespace millrace::adapters::system {

/// The calling thread gives way to the others of the process and the machine. Cannot be taken back without
/// privileges; where it is not allowed nothing happens.
void lower_thread_priority();

}  // namespace millrace::adapters::system
