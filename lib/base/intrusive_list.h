#pragma once

#include "lib/base/check.h"

namespace heddle {

// A member of an IntrusiveList<T>; T derives from it. Leaves its list when it is destroyed. Not copied, not moved.
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { Unlink(); }

  bool linked() const { return next_ != nullptr; }
  void Unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename T>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

// A doubly linked list that allocates nothing and owns nothing. Its members must leave before it is destroyed.
template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    CHECK(empty());
    head_.next_ = head_.previous_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() {
    CHECK(!empty());
    return *static_cast<T*>(head_.next_);
  }
  void PushBack(T& item) {
    ListNode& node = item;
    CHECK(!node.linked());
    node.previous_ = head_.previous_;
    node.next_ = &head_;
    head_.previous_->next_ = &node;
    head_.previous_ = &node;
  }
  T& PopFront() {
    T& item = front();
    static_cast<ListNode&>(item).Unlink();
    return item;
  }
  // Takes all members of `other`, in order.
  void Splice(IntrusiveList& other) {
    while (!other.empty()) PushBack(other.PopFront());
  }
  // Calls visit(T&) for each member; the visited member may leave the list, others may not.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (ListNode* node = head_.next_; node != &head_;) {
      ListNode* next = node->next_;
      visit(*static_cast<T*>(node));
      node = next;
    }
  }

 private:
  ListNode head_;
};

}  // namespace heddle
