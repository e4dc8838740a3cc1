# Third-party libraries as imported targets heddle_dep::<name>, all SYSTEM: their headers never fail our -Werror.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Programs carry their libraries (docs/decisions/019-programs-carry-their-libraries.md): an archive is taken where
# Debian has one, which is all but libmnl and libc.
if(HEDDLE_STATIC_LIBRARIES)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
endif()

function(heddle_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
  add_library(heddle_dep::${name} ALIAS PkgConfig::${name})
endfunction()

# A package's targets of that prefix name shared objects: the archive of the same name instead, where it is beside.
function(heddle_take_archives prefix)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  list(FILTER targets INCLUDE REGEX "^${prefix}")
  foreach(target ${targets})
    get_target_property(shared ${target} IMPORTED_LOCATION_NONE)
    string(REGEX REPLACE "\\.so[0-9.]*$" ".a" archive "${shared}")
    if(shared AND EXISTS "${archive}")
      set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_NONE "${archive}")
    endif()
  endforeach()
endfunction()

heddle_pkg(libbpf libbpf libelf zlib)  # The last two: what libbpf's archive needs.
heddle_pkg(zlib zlib)
heddle_pkg(liburing liburing)
heddle_pkg(libmnl libmnl)
heddle_pkg(nghttp2 libnghttp2)
heddle_pkg(re2 re2)
heddle_pkg(yaml yaml-cpp)

find_package(absl REQUIRED)
if(HEDDLE_STATIC_LIBRARIES)
  heddle_take_archives(absl::)
endif()
find_package(Protobuf REQUIRED)
target_link_libraries(protobuf::libprotobuf INTERFACE heddle_dep::zlib)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)

# heddle_dep::absl is the set that nearly every module uses.
add_library(heddle_absl INTERFACE)
target_link_libraries(heddle_absl INTERFACE
  absl::status absl::statusor absl::strings absl::time absl::flat_hash_map absl::flat_hash_set
  absl::inlined_vector absl::any_invocable absl::function_ref absl::cord absl::str_format)
add_library(heddle_dep::absl ALIAS heddle_absl)
add_library(heddle_dep::json ALIAS nlohmann_json::nlohmann_json)
add_library(heddle_dep::cli11 ALIAS CLI11::CLI11)

include(HeddleBoringSsl)
