# Flags that hold for every target of ours.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

set(HEDDLE_SANITIZE "" CACHE STRING "Sanitizers to build with: '', 'address,undefined' or 'thread'")
set(HEDDLE_STATIC_LIBRARIES ON)
if(HEDDLE_SANITIZE)
  set(HEDDLE_STATIC_LIBRARIES OFF)  # Their runtimes take the place of functions in shared objects.
endif()
option(HEDDLE_FUZZ "Build the libFuzzer targets instead of replaying their corpora" OFF)
option(HEDDLE_COVERAGE "Count which lines run, for scripts/fuzz_coverage.py" OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
# Sanitizer builds: fast enough to run the whole suite, line numbers only.
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1")
set(CMAKE_C_FLAGS_SANITIZE "-O1 -g1")

# PIE spelled out, the same for libraries and programs: one precompiled header serves all.
add_compile_options(-fPIE -fno-omit-frame-pointer -fdiagnostics-color=auto)
add_link_options(-pie)
add_link_options(-fuse-ld=lld)
if(HEDDLE_STATIC_LIBRARIES)
  # A program that is static as a whole (HEDDLE_STATIC_PIE) must not name one of its libraries so.
  add_link_options($<$<NOT:$<BOOL:$<TARGET_PROPERTY:HEDDLE_STATIC_PIE>>>:-static-libstdc++>
    -Wl,--gc-sections -Wl,--icf=safe -Wl,-z,pack-relative-relocs)
endif()
if(HEDDLE_SANITIZE)
  add_compile_options(-fsanitize=${HEDDLE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HEDDLE_SANITIZE})
endif()
if(HEDDLE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(HEDDLE_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_program(HEDDLE_CCACHE ccache)
if(HEDDLE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${HEDDLE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()
