// How an answer in a format may be put together from pieces. The engine writes every piece of a streamed
// answer as a document of its own, so only some formats can be streamed as they come.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::warehouse {

enum class AnswerShape {
  kRows,    ///< Pieces can be put one behind the other.
  kHeaded,  ///< The same, without the header (names, types) of every piece but the first.
  kWhole,   ///< The document has a frame: the engine must write it at once.
};

/// `format` in any case; what is not known here is kWhole.
[[nodiscard]] AnswerShape shape_of(std::string_view format);

/// The bytes of the header at the front of a piece in a kHeaded format; all of the piece if the header does
/// not end in it.
[[nodiscard]] std::size_t header_size(std::string_view format, std::string_view piece);

/// True if a setting of that name can turn rows into a framed document.
[[nodiscard]] bool is_framing_setting(std::string_view name);

}  // namespace millrace::warehouse
