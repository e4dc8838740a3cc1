#include "lib/grpc/protobuf.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

namespace heddle::grpc {
namespace {

TEST(GrpcProtobuf, ParsesItsTypeAndNamesItWhenItCannot) {
  google::protobuf::StringValue value;
  value.set_value("x");
  const absl::StatusOr<google::protobuf::StringValue> parsed =
      Parse<google::protobuf::StringValue>(value.SerializeAsString());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->value(), "x");
  const absl::Status broken = Parse<google::protobuf::StringValue>("\x0a\xff").status();
  EXPECT_EQ(broken,
            absl::InvalidArgumentError("message is not a valid google.protobuf.StringValue"));
}

}  // namespace
}  // namespace heddle::grpc
