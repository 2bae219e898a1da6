# Compiler, linker and third-party packages.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  # mold 1.10 lets the read-only part after relocation end behind the mapped pages of some programs, which then do not
  # start ("cannot apply additional memory protection after relocation").
  add_link_options(-fuse-ld=mold -Wl,-z,norelro)
endif()

add_compile_options(-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -fdiagnostics-color=auto)
if(DIFFTUNE_COVERAGE)
  add_compile_options(--coverage -O1)
  add_link_options(--coverage)
endif()

set_source_files_properties(app/main.cpp PROPERTIES COMPILE_DEFINITIONS DIFFTUNE_VERSION="${PROJECT_VERSION}")

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(ZLIB REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(PkgConfig REQUIRED)

# Image codecs. AVIF and JPEG XL are optional: a build without them names the missing format when it meets one.
add_library(difftune_image_codecs INTERFACE)
pkg_check_modules(CODECS REQUIRED IMPORTED_TARGET libpng libjpeg libwebp)
target_link_libraries(difftune_image_codecs INTERFACE PkgConfig::CODECS)
foreach(codec avif jxl)
  string(TOUPPER ${codec} upper)
  pkg_check_modules(${upper} QUIET IMPORTED_TARGET lib${codec})
  if(${upper}_FOUND)
    target_link_libraries(difftune_image_codecs INTERFACE PkgConfig::${upper})
    target_compile_definitions(difftune_image_codecs INTERFACE DIFFTUNE_HAS_${upper}=1)
  endif()
endforeach()

# LibTorch comes from the pinned wheel; `./dev` unpacks it there. Only the CPU half is linked: the CUDA backend
# registers itself when src/nn/device.cpp opens it at run time.
set(LIBTORCH_DIR ${CMAKE_SOURCE_DIR}/.deps/torch CACHE PATH "Folder with include/ and lib/ of the torch wheel")
if(NOT EXISTS ${LIBTORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch is not in ${LIBTORCH_DIR}. Run ./dev build, which fetches it, or set LIBTORCH_DIR.")
endif()
add_library(torch_cpu INTERFACE)
target_include_directories(torch_cpu SYSTEM INTERFACE ${LIBTORCH_DIR}/include ${LIBTORCH_DIR}/include/torch/csrc/api/include)
target_compile_definitions(torch_cpu INTERFACE AT_PER_OPERATOR_HEADERS)
target_link_libraries(torch_cpu INTERFACE ${LIBTORCH_DIR}/lib/libtorch_cpu.so ${LIBTORCH_DIR}/lib/libc10.so
                                          Threads::Threads)
# The wheel's include folder also holds a newer {fmt}, without its library: the system's must be found first.
find_path(FMT_INCLUDE_DIR fmt/format.h PATHS /usr/include REQUIRED NO_DEFAULT_PATH)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include/system_fmt)
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/include/system_fmt/fmt SYMBOLIC)
include_directories(BEFORE ${CMAKE_BINARY_DIR}/include/system_fmt)
# libtorch_cpu itself names the folder nvidia/ beside torch/ for libcudart and libcupti; only the linker must be told.
set(CMAKE_BUILD_RPATH ${LIBTORCH_DIR}/lib)
set(cuda_runtime_dir ${LIBTORCH_DIR}/../nvidia/cu13/lib)
add_link_options(-Wl,-rpath-link,${LIBTORCH_DIR}/lib:${cuda_runtime_dir} -Wl,--allow-shlib-undefined)
