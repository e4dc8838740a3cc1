# The price of a library, a test, a fuzz target and a benchmark is one line each.

# Standard library and abseil headers that nearly every file reads; modules that must stay free of abseil pass NO_PCH.
file(WRITE "${CMAKE_BINARY_DIR}/pch/pch.cc" "")
add_library(heddle_pch STATIC "${CMAKE_BINARY_DIR}/pch/pch.cc")
target_link_libraries(heddle_pch PUBLIC heddle_dep::absl)
target_precompile_headers(heddle_pch PRIVATE
  <algorithm> <array> <coroutine> <cstdint> <cstring> <deque> <expected> <functional> <map> <memory> <optional> <span>
  <string> <string_view> <tuple> <utility> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/functional/any_invocable.h> <absl/status/statusor.h> <absl/strings/str_cat.h>
  <absl/time/time.h>)

function(heddle_modules)
  foreach(module ${ARGN})
    if(EXISTS "${CMAKE_SOURCE_DIR}/${module}/CMakeLists.txt")
      add_subdirectory("${CMAKE_SOURCE_DIR}/${module}" "${CMAKE_BINARY_DIR}/${module}")
    endif()
  endforeach()
endfunction()

function(heddle_common target no_pch)
  target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
  target_compile_options(${target} PRIVATE -Wall -Wextra -Werror -Wnon-virtual-dtor -Woverloaded-virtual
    -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
  if(NOT no_pch)
    target_link_libraries(${target} PRIVATE heddle_dep::absl)
    target_precompile_headers(${target} REUSE_FROM heddle_pch)
  endif()
endfunction()

# heddle_library(NAME SOURCES a.cc b.cc DEPS heddle_base heddle_dep::nghttp2 [NO_PCH])
function(heddle_library name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
    heddle_common(${name} "${arg_NO_PCH}")
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${arg_DEPS})
  endif()
endfunction()

# heddle_binary(NAME SOURCES main.cc DEPS ...)
function(heddle_binary name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  heddle_common(${name} "${arg_NO_PCH}")
endfunction()

# heddle_test(NAME SOURCES a_test.cc DEPS ... [LABELS sim] [NO_PCH]): a GoogleTest binary; label "unit" unless told.
function(heddle_test name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;DEPS;LABELS;ARGS" ${ARGN})
  if(HEDDLE_FUZZ)
    return()
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gmock_main)
  heddle_common(${name} "${arg_NO_PCH}")
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300)
endfunction()

# heddle_fuzz(NAME SOURCES a_fuzz.cc CORPUS corpus COVERS a.cc DEPS ...): defines LLVMFuzzerTestOneInput. Outside the
# fuzz preset it is linked with a replaying main and its corpus (a folder beside the source) is a test with the label
# "fuzz". COVERS names the files that it is there for: scripts/fuzz_coverage.py measures what of each the corpus runs.
function(heddle_fuzz name)
  cmake_parse_arguments(arg "NO_PCH" "CORPUS" "SOURCES;COVERS;DEPS" ${ARGN})
  if(NOT arg_CORPUS OR NOT arg_COVERS)
    message(FATAL_ERROR "${name}: a fuzz target names its corpus and the files that it covers")
  endif()
  set(main "${CMAKE_SOURCE_DIR}/tests/support/fuzz_replay_main.cc")
  if(HEDDLE_FUZZ)
    set(main)
  endif()
  add_executable(${name} ${arg_SOURCES} ${main})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  heddle_common(${name} "${arg_NO_PCH}")
  set_property(GLOBAL APPEND PROPERTY HEDDLE_FUZZ_TARGETS ${name})
  list(TRANSFORM arg_COVERS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  list(JOIN arg_COVERS " " covers)
  set_property(GLOBAL APPEND PROPERTY HEDDLE_FUZZ_CORPORA "${name} ${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS} ${covers}")
  if(HEDDLE_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_test(NAME ${name} COMMAND ${name} "${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS}")
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()

# heddle_bench(NAME SOURCES a_bench.cc DEPS ...): a Google Benchmark binary, built in release only.
function(heddle_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} benchmark::benchmark_main)
  heddle_common(${name} "")
endfunction()
