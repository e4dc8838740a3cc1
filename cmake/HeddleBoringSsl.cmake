# BoringSSL as heddle_dep::crypto and heddle_dep::ssl.
#
# The sources come with the crate boring-sys, pinned by cmake/boringssl/Cargo.lock, and are compiled by its build script
# with our compiler. Cargo's JSON messages say where that script left the libraries. The result, and nothing else, is
# kept outside the tree and outside the build directories, so that every build directory of a machine shares one build.
# -DBORINGSSL_ROOT=<dir> takes another build: <dir>/include/openssl/ssl.h, and libssl.a and libcrypto.a in <dir>,
# <dir>/lib or <dir>/build.
set(BORINGSSL_ROOT "" CACHE PATH "A BoringSSL build to use instead of the pinned one")
set(HEDDLE_BORINGSSL_LOCK_TIMEOUT 1800 CACHE STRING "Seconds to wait for another configure that builds BoringSSL")
mark_as_advanced(HEDDLE_BORINGSSL_LOCK_TIMEOUT)

# Sets `out` to the directory that holds this compiler's build of the locked version.
function(heddle_boringssl_cache_dir out)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(base "$ENV{XDG_CACHE_HOME}")
  elseif(DEFINED ENV{HOME})
    set(base "$ENV{HOME}/.cache")
  else()
    set(base "${CMAKE_BINARY_DIR}/cache")
  endif()
  set(shim "${CMAKE_SOURCE_DIR}/cmake/boringssl")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${shim}/Cargo.lock")
  file(SHA256 "${shim}/Cargo.lock" lock)
  string(SHA256 key "${lock} ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} ${CMAKE_SYSTEM_PROCESSOR}")
  string(SUBSTRING "${key}" 0 16 key)
  set(${out} "${base}/heddle/boringssl-${key}" PARENT_SCOPE)
endfunction()

# bindgen, which the crate's build script runs, loads libclang at run time: the one that belongs to our compiler.
function(heddle_boringssl_libclang_dir out)
  if(DEFINED ENV{LIBCLANG_PATH})
    set(${out} "$ENV{LIBCLANG_PATH}" PARENT_SCOPE)
    return()
  endif()
  file(REAL_PATH "${CMAKE_CXX_COMPILER}" compiler)
  cmake_path(GET compiler PARENT_PATH bin)
  cmake_path(GET bin PARENT_PATH prefix)
  file(GLOB found "${prefix}/lib/libclang.so*" "${prefix}/lib/libclang-*.so*")
  if(NOT found)
    message(FATAL_ERROR
      "No libclang in ${prefix}/lib, which the BoringSSL build needs: run scripts/deps.sh or set LIBCLANG_PATH")
  endif()
  set(${out} "${prefix}/lib" PARENT_SCOPE)
endfunction()

# Copies headers and libraries of the build that `messages` (cargo's JSON lines) describes to `to`.
function(heddle_boringssl_collect messages to)
  file(STRINGS "${messages}" line REGEX "\"build-script-executed\".*boring-sys@")
  if(NOT line)
    message(FATAL_ERROR "cargo built the shim crate but reported no build script of boring-sys: see ${messages}")
  endif()
  string(JSON out_dir GET "${line}" out_dir)
  string(JSON count LENGTH "${line}" linked_paths)
  math(EXPR last "${count} - 1")
  set(dirs)
  foreach(i RANGE ${last})
    string(JSON path GET "${line}" linked_paths ${i})
    string(REGEX REPLACE "^[a-z]+=" "" path "${path}")
    list(APPEND dirs "${path}")
  endforeach()
  foreach(name ssl crypto)
    find_file(archive lib${name}.a PATHS ${dirs} NO_DEFAULT_PATH NO_CACHE REQUIRED)
    file(COPY "${archive}" DESTINATION "${to}/lib")
    unset(archive)
  endforeach()
  file(COPY "${out_dir}/boringssl/include" DESTINATION "${to}")
endfunction()

function(heddle_boringssl_build dir)
  find_program(cargo cargo HINTS "$ENV{HOME}/.cargo/bin" NO_CACHE)
  if(NOT cargo)
    message(FATAL_ERROR
      "No cargo, which carries BoringSSL's sources: run scripts/deps.sh (Debian's package cargo-web serves)")
  endif()
  heddle_boringssl_libclang_dir(libclang)
  set(work "${dir}.work")
  file(REMOVE_RECURSE "${work}" "${dir}")
  file(MAKE_DIRECTORY "${work}")
  message(STATUS "BoringSSL: building into ${dir} (two to three minutes, once per machine)")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env "CC=${CMAKE_C_COMPILER}" "CXX=${CMAKE_CXX_COMPILER}" "LIBCLANG_PATH=${libclang}"
      ${cargo} build --release --locked --message-format=json --target-dir "${work}/target"
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}/cmake/boringssl"
    OUTPUT_FILE "${work}/messages.json" ERROR_FILE "${work}/cargo.log" RESULT_VARIABLE failed)
  if(failed)
    file(STRINGS "${work}/cargo.log" log)
    list(JOIN log "\n  " log)
    message(FATAL_ERROR "cargo could not build BoringSSL:\n  ${log}")
  endif()
  heddle_boringssl_collect("${work}/messages.json" "${work}/product")
  file(RENAME "${work}/product" "${dir}")
  file(REMOVE_RECURSE "${work}")
endfunction()

function(heddle_boringssl root)
  find_path(include openssl/is_boringssl.h PATHS "${root}/include"
    NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH NO_CACHE REQUIRED)
  foreach(name crypto ssl)
    find_library(archive lib${name}.a PATHS "${root}" PATH_SUFFIXES lib build build/${name} ${name}
      NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH NO_CACHE REQUIRED)
    add_library(heddle_dep::${name} STATIC IMPORTED GLOBAL)
    set_target_properties(heddle_dep::${name} PROPERTIES
      IMPORTED_LOCATION "${archive}" INTERFACE_INCLUDE_DIRECTORIES "${include}")
    unset(archive)
  endforeach()
  target_link_libraries(heddle_dep::crypto INTERFACE Threads::Threads)
  target_link_libraries(heddle_dep::ssl INTERFACE heddle_dep::crypto)
endfunction()

function(heddle_find_boringssl)
  if(BORINGSSL_ROOT)
    heddle_boringssl("${BORINGSSL_ROOT}")
    return()
  endif()
  heddle_boringssl_cache_dir(dir)
  if(NOT EXISTS "${dir}/include")
    # Two configures at once: the second waits for the first and finds its product.
    cmake_path(GET dir PARENT_PATH parent)
    file(MAKE_DIRECTORY "${parent}")
    file(LOCK "${dir}.lock" GUARD FUNCTION TIMEOUT ${HEDDLE_BORINGSSL_LOCK_TIMEOUT})
    if(NOT EXISTS "${dir}/include")
      heddle_boringssl_build("${dir}")
    endif()
  endif()
  heddle_boringssl("${dir}")
endfunction()

heddle_find_boringssl()
