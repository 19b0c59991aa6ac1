// JSON of dead letters. Shapes: docs/specs/dead-letters.md.
#pragma once

#include <string>

#include "letters/letters.h"

namespace millrace::api {

/// {"letters": […], "more": true, "next": "…", "open": 1234}, the letters without their values.
[[nodiscard]] std::string letters_json(const letters::LetterList& list);
/// With headers and value.
[[nodiscard]] std::string letter_json(const letters::Letter& letter);
[[nodiscard]] std::string handled_json(const ports::HandledLetter& handled);

}  // namespace millrace::api
