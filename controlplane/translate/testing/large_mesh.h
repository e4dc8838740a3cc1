#pragma once

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "controlplane/translate/incremental_translation.h"

// A mesh of any size for measurements: each service has ten pods and a slice, each node fifty pods, all
// enrolled and captured.
namespace heddle::controlplane::translate::testing {

inline constexpr int kPodsPerService = 10;
inline constexpr int kPodsPerNode = 50;

inline std::shared_ptr<const api::Pod> MakePod(int i, bool ready = true) {
  const std::string app = absl::StrCat("app-", i / kPodsPerService);
  return std::make_shared<const api::Pod>(
      api::Pod{.meta = {.name = absl::StrCat(app, "-7f5c9d8b6d-", i),
                        .name_space = absl::StrCat("namespace-", i / kPodsPerService % 20),
                        .uid = absl::StrCat("11111111-2222-3333-4444-", 100'000'000'000 + i),
                        .labels = {{"app", app}, {"istio.io/dataplane-mode", "ambient"}}},
               .service_account = app,
               .node_name = absl::StrCat("node-", i / kPodsPerNode),
               .ready = ready,
               .ips = {io::IpAddress::V4(10, static_cast<uint8_t>(i >> 16),
                                         static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i))}});
}

// Into `objects`, and as it comes from a source.
inline MeshChanges Fill(int pods, api::ObjectStore& objects) {
  MeshChanges changes;
  api::StoreDiff diff;
  api::EndpointSlice slice;
  for (int i = 0; i < pods; ++i) {
    const auto pod = MakePod(i);
    changes.captured[pod->node_name].insert(pod->meta.uid);
    diff.upserted.push_back(pod);
    const std::string app = absl::StrCat("app-", i / kPodsPerService);
    slice.meta = {.name = app, .name_space = pod->meta.name_space};
    slice.service = app;
    slice.ports = {{.name = "http", .port = 8080}};
    slice.endpoints.push_back({.addresses = pod->ips, .pod = pod->meta.name});
    if (slice.endpoints.size() < kPodsPerService) continue;
    diff.upserted.push_back(std::make_shared<const api::EndpointSlice>(std::exchange(slice, {})));
    diff.upserted.push_back(std::make_shared<const api::Service>(
        api::Service{.meta = {.name = app, .name_space = pod->meta.name_space},
                     .addresses = {io::IpAddress::V4(10, 96, static_cast<uint8_t>(i >> 8),
                                                     static_cast<uint8_t>(i))},
                     .selector = {{"app", app}},
                     .ports = {{.name = "http", .port = 80, .target = uint16_t{8080}}}}));
  }
  changes.objects = objects.Apply(diff);
  return changes;
}

}  // namespace heddle::controlplane::translate::testing
