# Third-party libraries as imported targets heddle_dep::<name>, all SYSTEM: their headers never fail our -Werror.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)

function(heddle_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
  add_library(heddle_dep::${name} ALIAS PkgConfig::${name})
endfunction()

heddle_pkg(libbpf libbpf)
heddle_pkg(liburing liburing)
heddle_pkg(libmnl libmnl)
heddle_pkg(nghttp2 libnghttp2)
heddle_pkg(re2 re2)
heddle_pkg(yaml yaml-cpp)

find_package(absl REQUIRED)
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
