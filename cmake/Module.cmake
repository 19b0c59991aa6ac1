# A module is one folder under src/ and one static library. Its sources are listed by name.
#
#   millrace_module(relay SOURCES relay.cpp DEPENDS ports domain base LIBRARIES fmt::fmt)
#
# makes the target millrace_relay. DEPENDS names other modules, LIBRARIES third-party targets. Which modules a module may
# include is checked by tests/check/includes.py, which has the whole list of allowed dependencies.
function(millrace_module name)
  cmake_parse_arguments(MODULE "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target "millrace_${name}")
  if(MODULE_SOURCES)
    add_library(${target} STATIC ${MODULE_SOURCES})
    target_link_libraries(${target} PRIVATE standard_settings standard_warnings)
    set(visibility PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  endif()
  foreach(other IN LISTS MODULE_DEPENDS)
    string(REPLACE "/" "_" other "${other}")
    target_link_libraries(${target} ${visibility} "millrace_${other}")
  endforeach()
  if(MODULE_LIBRARIES)
    target_link_libraries(${target} ${visibility} ${MODULE_LIBRARIES})
  endif()
endfunction()
