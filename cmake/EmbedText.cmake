# millrace_embed_text(TARGET symbol FILE): the file's text becomes `extern const std::string_view symbol` of namespace
# millrace::embedded, declared by the generated header embedded/<symbol>.h. A changed file rebuilds.
function(millrace_embed_text target symbol file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  file(READ "${file}" text)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded")
  file(CONFIGURE OUTPUT "${folder}/${symbol}.h" @ONLY CONTENT
"#pragma once
#include <string_view>
namespace millrace::embedded {
extern const std::string_view @symbol@;
}
")
  file(CONFIGURE OUTPUT "${folder}/${symbol}.cpp" @ONLY CONTENT
"#include \"embedded/@symbol@.h\"
namespace millrace::embedded {
const std::string_view @symbol@ = R\"~~~~(@text@)~~~~\";
}
")
  target_sources(${target} PRIVATE "${folder}/${symbol}.cpp")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}")
endfunction()
