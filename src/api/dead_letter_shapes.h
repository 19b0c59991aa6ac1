// JSON of dead letters. Shapes: docs/specs/dead-letters.md.
#pragma once

#include <string>

#include "dead_letters/dead_letters.h"

namespace millrace::api {

/// {"letters": […], "more": true, "next": "…", "open": 1234}, the letters without their values.
[[nodiscard]] std::string dead_letters_json(const dead_letters::DeadLetterList& list);
/// With headers and value.
[[nodiscard]] std::string dead_letter_json(const dead_letters::DeadLetter& letter);
[[nodiscard]] std::string handled_json(const ports::HandledDeadLetter& handled);

}  // namespace millrace::api
