#include <gtest/gtest.h>

#include <set>

#include "lib/http/testing/session_pair.h"
#include "lib/io/read_size.h"

namespace heddle::http {
namespace {

using Type = H2Event::Type;

TEST(H2Output, IsSharedByStreams) {
  SessionPair pair;
  const std::string body(64 * 1024, 'x');
  std::vector<StreamId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(*pair.client.session.Open(kPost, false));
  pair.Pump();
  for (const StreamId id : ids) pair.client.session.Write(id, AsBytes(body));
  std::vector<uint8_t> space(4 * H2Session::kOutputMin);
  const size_t size = pair.client.session.Output(space);
  std::set<uint32_t> seen;
  for (const ParsedFrame& frame : ParseFrames({reinterpret_cast<const char*>(space.data()), size}))
    seen.insert(frame.stream);
  EXPECT_EQ(seen.size(), 4u);
}

// (bytes on one stream, on another; the frames of the first output). What is cut off a frame is a write of its own
// where it arrives.
TEST(H2Output, EndsRatherThanTakeLessThanHalfOfAFrame) {
  constexpr size_t kSpace = 124 * 1024;
  const struct {
    size_t first, second;
    std::vector<size_t> frames;
  } cases[] = {{100'000, 100'000, {100'000}},
               {40'000, 100'000, {40'000, kSpace - 40'000 - 2 * 9}},
               {100'000, 10'000, {100'000, 10'000}},
               {200'000, 1, {io::ReadSize::kLargest, 1}}};
  for (const auto& c : cases) {
    H2Options large;
    large.receive_frame_bytes_max = large.stream_window_initial = 1024 * 1024;
    SessionPair pair({}, large);
    const std::string bodies[] = {std::string(c.first, 'x'), std::string(c.second, 'y')};
    const StreamId ids[] = {*pair.client.session.Open(kPost, false),
                            *pair.client.session.Open(kPost, false)};
    pair.Pump();
    for (const size_t i : {0, 1}) pair.client.session.Write(ids[i], AsBytes(bodies[i]));
    std::vector<uint8_t> space(kSpace);
    const size_t size = pair.client.session.Output(space);
    const std::string output(reinterpret_cast<const char*>(space.data()), size);
    std::vector<size_t> frames;
    for (const ParsedFrame& frame : ParseFrames(output)) frames.push_back(frame.payload.size());
    EXPECT_EQ(frames, c.frames);
    pair.server.Feed(output);
    pair.Pump();
    for (const size_t i : {0, 1}) EXPECT_TRUE(pair.server.data[ids[i]] == bodies[i]);
  }
}

// By whom its stream is reset, or by nobody: then the next write goes in its place.
TEST(H2Output, AFrameThatWaitsForTheNextOutputIsForgottenWithItsWrite) {
  enum class How { kOurReset, kPeersReset, kNextWrite };
  for (const How how : {How::kOurReset, How::kPeersReset, How::kNextWrite}) {
    H2Options large;
    large.receive_frame_bytes_max = large.stream_window_initial = 1024 * 1024;
    SessionPair pair({}, large);
    H2Session& client = pair.client.session;
    const std::string body(100'000, 'x'), next(100'000, 'y');
    const StreamId ids[] = {*client.Open(kPost, false), *client.Open(kPost, false)};
    pair.Pump();
    for (const StreamId id : ids) client.Write(id, AsBytes(body));
    std::vector<uint8_t> space(124 * 1024);
    pair.server.Feed({reinterpret_cast<const char*>(space.data()), client.Output(space)});
    EXPECT_EQ(client.output_min(), 9 + body.size());
    if (how == How::kOurReset) client.Reset(ids[1], ErrorCode::kCancel);
    if (how == How::kPeersReset) {
      pair.server.session.Reset(ids[1], ErrorCode::kCancel);
      pair.client.Feed(TakeOutput(pair.server.session));
      EXPECT_EQ(client.output_min(), H2Session::kOutputMin);
    }
    if (how == How::kNextWrite) {
      client.CancelWrite(ids[1]);
      client.Write(ids[1], AsBytes(next));
    }
    pair.Pump();
    EXPECT_EQ(client.output_min(), H2Session::kOutputMin);
    EXPECT_FALSE(client.wants_output());
    EXPECT_TRUE(pair.server.data[ids[0]] == body);
    EXPECT_EQ(pair.server.data[ids[1]], how == How::kNextWrite ? next : "");
    EXPECT_EQ(pair.server.Count(Type::kReset), how == How::kOurReset ? 1u : 0u);
  }
}

}  // namespace
}  // namespace heddle::http
