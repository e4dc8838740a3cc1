#include "lib/grpc/status.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "lib/grpc/metadata.h"
#include "lib/http/error_code.h"

namespace heddle::grpc {
namespace {

TEST(GrpcStatus, MessagesSurviveTheHeader) {
  for (const std::string message : {"plain", "100% sure", "zwei\nZeilen: \xc3\xa4", ""}) {
    const std::string encoded = EncodeMessage(message);
    for (const char c : encoded) EXPECT_TRUE(c >= ' ' && c <= '~');
    EXPECT_EQ(DecodeMessage(encoded), message);
  }
}

TEST(GrpcStatus, BrokenEscapesStayAsTheyAre) {
  for (const char* text : {"%", "%4", "%zz", "a%4"}) EXPECT_EQ(DecodeMessage(text), text);
  EXPECT_EQ(DecodeMessage("%41%4a%4A"), "AJJ");
}

TEST(GrpcStatus, TrailersCarryIt) {
  http::Headers trailers;
  AppendStatus(absl::NotFoundError("no pod"), trailers);
  EXPECT_EQ(trailers, (http::Headers{{"grpc-status", "5"}, {"grpc-message", "no pod"}}));
  EXPECT_EQ(StatusFromTrailers(trailers), absl::NotFoundError("no pod"));
  EXPECT_TRUE(StatusFromTrailers({{"grpc-status", "0"}}).ok());
  for (const char* broken : {"", "x", "-1", "17", "0x0"}) {
    EXPECT_EQ(StatusFromTrailers({{"grpc-status", broken}}).code(), absl::StatusCode::kUnknown)
        << broken;
  }
  EXPECT_EQ(StatusFromTrailers({}).code(), absl::StatusCode::kUnknown);
}

TEST(GrpcStatus, LossOfAStreamHasACode) {
  using http::ErrorCode;
  const struct {
    io::Error error;
    absl::StatusCode want;
  } cases[] = {
      {io::Error::Io(io::IoCode::kDeadline, io::Op::kRead), absl::StatusCode::kDeadlineExceeded},
      {io::Error::Io(io::IoCode::kStopped, io::Op::kRead), absl::StatusCode::kCancelled},
      {io::Error::Errno(ECONNRESET, io::Op::kRead), absl::StatusCode::kUnavailable},
      {http::ToError(ErrorCode::kRefusedStream, io::Op::kRead), absl::StatusCode::kUnavailable},
      {http::ToError(ErrorCode::kCancel, io::Op::kRead), absl::StatusCode::kCancelled},
      {http::ToError(ErrorCode::kEnhanceYourCalm, io::Op::kRead),
       absl::StatusCode::kResourceExhausted},
      {http::ToError(ErrorCode::kProtocolError, io::Op::kRead), absl::StatusCode::kInternal},
  };
  for (const auto& c : cases)
    EXPECT_EQ(StatusFromError(c.error).code(), c.want) << c.error.ToString();
}

TEST(GrpcStatus, HttpStatusesHaveCodes) {
  EXPECT_EQ(StatusFromHttp(404).code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(StatusFromHttp(503).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(StatusFromHttp(418).code(), absl::StatusCode::kUnknown);
}

TEST(GrpcContentType, AcceptsTheFamily) {
  for (const char* good : {"application/grpc", "application/grpc+proto", "application/grpc;x=y"}) {
    EXPECT_TRUE(IsGrpcContentType(good)) << good;
  }
  for (const char* bad : {"", "application/grpcx", "application/json", "text/application/grpc"}) {
    EXPECT_FALSE(IsGrpcContentType(bad)) << bad;
  }
}

}  // namespace
}  // namespace heddle::grpc
