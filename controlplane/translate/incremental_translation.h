#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/translate/affected.h"
#include "controlplane/translate/authorization.h"
#include "controlplane/translate/endpoint_index.h"
#include "controlplane/translate/interception.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/peer_authentication.h"
#include "controlplane/translate/pod_index.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/translation_delta.h"

namespace heddle::controlplane::translate {

// What a mesh has gone through.
struct MeshChanges {
  // Of the store, in their order.
  std::vector<api::ObjectChange> objects;
  // The nodes whose captured pods are others, each with its whole set.
  CapturedPods captured;
  // As it is now.
  RemovalPhase removal = RemovalPhase::kNone;
};

// Translate() for a store that changes: costs what the changed objects affect (Affected), not what
// there is. It derives the affected resources anew from the store, with the functions that Translate()
// uses, and keeps no resources itself: only which objects lead to which. Whoever applies the deltas
// one after the other has what Translate() gives (proven by incremental_translation_test).
//
// A change of a policy costs the number of policies of its kind besides. One thread's, and while
// Update() runs nobody changes the store; others may read it.
class IncrementalTranslation {
 public:
  // `objects` outlives it.
  IncrementalTranslation(const api::ObjectStore& objects, MeshOptions options)
      : objects_(objects), options_(std::move(options)), endpoints_(objects_, options_) {}
  IncrementalTranslation(const IncrementalTranslation&) = delete;
  IncrementalTranslation& operator=(const IncrementalTranslation&) = delete;

  // `changes` are all since the last call; the first call's are all that brought the store about.
  // Another phase of the removal costs a whole translation.
  TranslationDelta Update(const MeshChanges& changes);

 private:
  class Round;
  void Index(const std::vector<api::ObjectChange>& changes);
  void SetCaptured(const CapturedPods& captured, Affected& affected);

  const api::ObjectStore& objects_;
  const MeshOptions options_;
  CapturedPods captured_;
  RemovalPhase removal_ = RemovalPhase::kNone;
  PodIndex pods_;
  EndpointIndex endpoints_;
  // Made anew when a policy of their kind changes.
  std::optional<PolicySelectors> selectors_;
  std::optional<PeerAuthentications> peers_;
  std::optional<Interceptions> interceptions_;
  // What was said last, where that cannot be told from the objects.
  std::set<std::string> peer_policies_;  // Resource names.
  std::set<api::NamespacedName> noted_;  // Pods that have notes.
  InterceptionUses uses_;
  std::map<api::NamespacedName, Interceptions::Choice> choices_;  // By pod; those that have one.
  bool first_ = true;
};

}  // namespace heddle::controlplane::translate
