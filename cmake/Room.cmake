# A room is one folder under src/ and one static library. Its sources are listed by name.
#
#   millrace_room(relay SOURCES relay.cpp DEPENDS ports domain base LIBRARIES fmt::fmt)
#
# makes the target millrace_relay. DEPENDS names other rooms, LIBRARIES third-party targets. Which rooms a room may
# include is checked by tests/check/includes.py, which has the whole list of allowed arrows.
function(millrace_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target "millrace_${name}")
  if(ROOM_SOURCES)
    add_library(${target} STATIC ${ROOM_SOURCES})
    target_link_libraries(${target} PRIVATE standard_settings standard_warnings)
    set(visibility PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  endif()
  foreach(other IN LISTS ROOM_DEPENDS)
    string(REPLACE "/" "_" other "${other}")
    target_link_libraries(${target} ${visibility} "millrace_${other}")
  endforeach()
  if(ROOM_LIBRARIES)
    target_link_libraries(${target} ${visibility} ${ROOM_LIBRARIES})
  endif()
endfunction()
