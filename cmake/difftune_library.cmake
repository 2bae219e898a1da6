# difftune_library(NAME DEPENDS lib... LINK target...)
#
# One static library from src/NAME/**.cpp. Its headers are reached as "NAME/file.h" through a folder that holds one
# link to src/NAME and nothing else, so a library can include only what it is linked with.
function(difftune_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  set(source_dir ${CMAKE_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${source_dir}/*.cpp ${source_dir}/*.S)
  set(include_dir ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${include_dir})
  file(CREATE_LINK ${source_dir} ${include_dir}/${name} SYMBOLIC)

  if(sources)
    add_library(difftune_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(difftune_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(difftune_${name} ${scope} ${include_dir})
  list(TRANSFORM ARG_DEPENDS PREPEND difftune_)
  target_link_libraries(difftune_${name} ${scope} ${ARG_DEPENDS} ${ARG_LINK})
endfunction()
