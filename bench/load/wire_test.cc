#include "bench/load/wire.h"

#include <gtest/gtest.h>

namespace heddle::bench {
namespace {

TEST(Wire, OrdersAndReceiptsComeBackAsTheyWere) {
  const Order order{.kind = OrderKind::kDown,
                    .seed = 0xfedcba98,
                    .request_bytes = 1ull << 40,
                    .response_bytes = 3};
  EXPECT_EQ(ParseOrder(Encode(order)), order);
  const Receipt receipt{.bytes = 1ull << 50, .intact = true};
  EXPECT_EQ(ParseReceipt(Encode(receipt)), receipt);
}

TEST(Wire, RefusesWhatIsNoOrderAndNoReceipt) {
  auto bytes = Encode(Order{});
  bytes[1] = 'z';
  EXPECT_EQ(ParseOrder(bytes), std::nullopt);
  bytes = Encode(Order{});
  bytes[0] = kPing;
  EXPECT_EQ(ParseOrder(bytes), std::nullopt);
  bytes = Encode(Order{});
  bytes[3] = 1;
  EXPECT_EQ(ParseOrder(bytes), std::nullopt);
  auto receipt = Encode(Receipt{.bytes = 1, .intact = true});
  receipt[9] = 7;
  EXPECT_EQ(ParseReceipt(receipt), std::nullopt);
}

}  // namespace
}  // namespace heddle::bench
