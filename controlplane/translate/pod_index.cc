#include "controlplane/translate/pod_index.h"

#include <tuple>

namespace heddle::controlplane::translate {

bool PodIndex::ByNode::operator()(const api::Pod* a, const api::Pod* b) const {
  return std::tie(a->node_name, a->meta.name_space, a->meta.name) <
         std::tie(b->node_name, b->meta.name_space, b->meta.name);
}

bool PodIndex::ByUid::operator()(const api::Pod* a, const api::Pod* b) const {
  return std::tie(a->meta.uid, a->meta.name_space, a->meta.name) <
         std::tie(b->meta.uid, b->meta.name_space, b->meta.name);
}

void PodIndex::Add(const api::Pod& pod) {
  if (!pod.node_name.empty()) by_node_.insert(&pod);
  if (!pod.meta.uid.empty() && !pod.terminal) by_uid_.insert(&pod);
}

void PodIndex::Remove(const api::Pod& pod) {
  if (!pod.node_name.empty()) by_node_.erase(&pod);
  if (!pod.meta.uid.empty() && !pod.terminal) by_uid_.erase(&pod);
}

std::vector<const api::Pod*> PodIndex::OnNode(std::string_view node) const {
  std::vector<const api::Pod*> pods;
  for (auto at = by_node_.lower_bound(node); at != by_node_.end(); ++at) {
    if ((*at)->node_name != node) break;
    pods.push_back(*at);
  }
  return pods;
}

std::vector<const api::Pod*> PodIndex::WithUid(std::string_view uid) const {
  std::vector<const api::Pod*> pods;
  for (auto at = by_uid_.lower_bound(uid); at != by_uid_.end(); ++at) {
    if ((*at)->meta.uid != uid) break;
    pods.push_back(*at);
  }
  return pods;
}

bool PodIndex::SharesUid(const api::Pod& pod) const {
  if (pod.meta.uid.empty() || pod.terminal) return false;
  auto at = by_uid_.lower_bound(std::string_view(pod.meta.uid));
  for (int found = 0; at != by_uid_.end() && (*at)->meta.uid == pod.meta.uid; ++at) {
    if (++found == 2) return true;
  }
  return false;
}

}  // namespace heddle::controlplane::translate
