#include "lib/io/testing/simulated_reactor.h"

#include <cerrno>

namespace heddle::io {
namespace {

class SimulatedReactor final : public Reactor {
 public:
  Backend backend() const override { return Backend::kSimulated; }
  void Start(AcceptOperation& operation) override { Refuse(operation); }
  void Start(ReceiveOperation& operation) override { Refuse(operation); }
  void Start(SendOperation& operation) override { Refuse(operation); }
  void Start(ConnectOperation& operation) override { Refuse(operation); }
  void Start(PollOperation& operation) override { Refuse(operation); }
  void Cancel(Operation&) override {}
  void Forget(int) override {}
  void Wait(MonotonicTime, MonotonicTime) override {
    IntrusiveList<Operation> batch;
    batch.Splice(refused_);
    while (!batch.empty()) batch.PopFront().Complete(-EOPNOTSUPP);
  }
  void Wake() override {}

 private:
  void Refuse(Operation& operation) {
    operation.MarkInFlight();
    refused_.PushBack(operation);
  }
  IntrusiveList<Operation> refused_;
};

}  // namespace

std::unique_ptr<Reactor> MakeSimulatedReactor() { return std::make_unique<SimulatedReactor>(); }

}  // namespace heddle::io
