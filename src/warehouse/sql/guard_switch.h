// Whether statements pass the guard. They do, in every program that is installed.
#pragma once

namespace millrace::warehouse {

/// False only in build/tests/millrace-warehouse-unguarded, which shows that the confinement holds alone
/// (tests/security). A definition of the compiler and no option: a shipped program has no way to switch it.
#ifdef MILLRACE_WITHOUT_GUARD
inline constexpr bool kGuardEnabled = false;
#else
inline constexpr bool kGuardEnabled = true;
#endif

}  // namespace millrace::warehouse
