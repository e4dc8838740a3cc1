#include "agent/model/workload_view.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/model/address_decoder.h"
#include "agent/model/decode.h"
#include "agent/model/testing/same_view.h"
#include "lib/base/random.h"

namespace heddle::agent {
namespace {

using istio::workload::Address;

constexpr std::string_view kWhole =
    "workload { uid: 'Kubernetes//Pod/shop/web-1' name: 'web-1' namespace: 'shop' addresses: "
    "'\\012\\000\\000\\001' "
    "addresses: '0123456789abcdef' network: 'net' tunnel_protocol: HBONE trust_domain: 'td' "
    "service_account: 'sa' "
    "node: 'n' canonical_name: 'web' canonical_revision: 'v1' workload_type: POD workload_name: "
    "'web' "
    "native_tunnel: true authorization_policies: 'shop/a' authorization_policies: 'shop/b' status: "
    "UNHEALTHY "
    "cluster_id: 'c' hostname: 'h' locality { region: 'r' zone: 'z' subzone: 's' } network_mode: "
    "HOST_NETWORK "
    "capacity { value: 7 } services { key: 'shop/web' value { ports { service_port: 80 "
    "target_port: 8080 } "
    "ports { service_port: 443 app_protocol: HTTP11 } } } services { key: 'shop/all' value {} } }";

Address FromText(std::string_view text) {
  Address message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &message)) << text;
  return message;
}

std::string Bytes(std::string_view text) { return FromText(text).SerializeAsString(); }

// What is in the bytes, decoded by way of a message and of the bytes themselves: the same, if they are plain.
void ExpectSame(std::string_view bytes, uint64_t& plain) {
  ASSERT_TRUE(testing::SeesWhatProtobufSees(bytes, plain));
  WorkloadView view;
  if (!ViewPlainWorkload(bytes, view)) return;
  Address message;
  ASSERT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  ASSERT_TRUE(message.has_workload());
  SharedParts shared;
  const auto from_bytes = DecodeWorkload(view, shared);
  const auto from_message = DecodeWorkload(message.workload(), shared);
  ASSERT_EQ(from_bytes.status(), from_message.status());
  if (from_bytes.ok()) {
    EXPECT_TRUE(**from_bytes == **from_message) << message.ShortDebugString();
  }
}

TEST(ViewPlainWorkload, SeesAllThatAMessageHas) {
  WorkloadView view;
  const std::string bytes = Bytes(kWhole);
  ASSERT_TRUE(ViewPlainWorkload(bytes, view));
  uint64_t plain = 0;
  ExpectSame(bytes, plain);
  EXPECT_EQ(plain, 1u);
  SharedParts shared;
  const auto workload = DecodeWorkload(view, shared);
  ASSERT_TRUE(workload.ok()) << workload.status();
  EXPECT_EQ((*workload)->uid.ToString(), "Kubernetes//Pod/shop/web-1");
  EXPECT_EQ((*workload)->services.size(), 2u);
  EXPECT_EQ((*workload)->services[1].ports[0].target_port, 8080);
  EXPECT_EQ((*workload)->capacity, 7u);
  // A field of a later version, in the bytes as a length and as a number.
  for (const std::string_view later : {std::string_view("\xfa\x01\x01x", 4), std::string_view("\xf8\x01\x05", 3)}) {
    std::string more = Bytes("workload { uid: 'u' }") + std::string(later);
    more[1] = static_cast<char>(static_cast<size_t>(more[1]) + later.size());
    ExpectSame(more, plain);
  }
  EXPECT_EQ(plain, 3u);
  ASSERT_TRUE(ViewPlainWorkload(Bytes("workload { uid: 'u' }"), view));
  EXPECT_TRUE(view.services.empty() && view.ports.empty() && view.addresses.empty() &&
              view.node.empty());
  EXPECT_EQ(view.capacity, 1u);
}

TEST(ViewPlainWorkload, LeavesWhatIsUnusualToProtobuf) {
  const std::string plain = Bytes(kWhole);
  const std::string cases[] = {
      "",
      Bytes("service { hostname: 'h' }"),
      Bytes("workload { uid: 'u' waypoint { hbone_mtls_port: 15008 } }"),
      Bytes("workload { uid: 'u' network_gateway { hbone_mtls_port: 15008 } }"),
      Bytes("workload { uid: 'u' application_tunnel { port: 1 } }"),
      Bytes("workload { uid: 'u' extensions {} }"),
      Bytes("workload { uid: '\\303\\251' }"),
      std::string("\x0a\x04\xa2\x01\x01\xff", 6),  // A text that is no UTF-8.
      Bytes("workload { uid: 'u' tunnel_protocol: -1 }"),
      plain + plain,                                                // Would be merged.
      plain.substr(0, plain.size() - 1),                            // Cut.
      std::string("\x0a\x06\xc2\x01\x00\xc2\x01\x00", 8),           // Two localities,
      std::string("\x0a\x06\xda\x01\x00\xda\x01\x00", 8),           // two capacities,
      std::string("\x0a\x08\xb2\x01\x01\x00\xb2\x01\x01\x00", 10),  // entries that have a field 0.
      std::string("\x0a\x0e\xb2\x01\x04\x0a\x02xy\xb2\x01\x04\x0a\x02xy",
                  16),                         // One service twice.
      std::string("\x0a\x03\x28\x81\x00", 5),  // 1 in two bytes.
      std::string("\x0a\x02\x0d\x00", 4),      // Another wire type,
      std::string("\x0a\x02\x08\x00", 4),      // a number where a text should be.
  };
  WorkloadView view;
  for (const std::string& bytes : cases)
    EXPECT_FALSE(ViewPlainWorkload(bytes, view)) << absl::BytesToHexString(bytes);
}

TEST(ViewPlainWorkload, SeesWhatProtobufSeesWhateverTheBytesAre) {
  SeededRandom random(11);
  const std::string whole = Bytes(kWhole);
  const std::string small =
      Bytes("workload { uid: 'u' namespace: 'n' services { key: 's' value { ports { service_port: 80 } } } }");
  uint64_t plain = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string bytes = i % 2 == 0 ? whole : small;
    for (uint64_t changes = 1 + random.Below(3); changes > 0; --changes) {
      const size_t at = random.Below(bytes.size());
      const auto byte = static_cast<char>(random.Below(256));
      switch (random.Below(4)) {
        case 0: bytes[at] = byte; break;
        case 1: bytes.insert(at, 1, byte); break;
        case 2: bytes.erase(at, 1); break;
        default: bytes[at] ^= static_cast<char>(1 << random.Below(8)); break;
      }
      if (bytes.empty()) break;
    }
    ExpectSame(bytes, plain);
    if (HasFatalFailure()) FAIL() << absl::BytesToHexString(bytes);
  }
  EXPECT_GT(plain, 10'000u);
}

TEST(AddressDecoder, DecodesTheSameWithAndWithoutAMessage) {
  AddressDecoder decoder;
  for (const std::string_view more :
       {"",
        "workload { waypoint { hbone_mtls_port: 15008 hostname { namespace: 'n' "
        "hostname: 'h' } } }"}) {
    Address message = FromText(kWhole);
    message.MergeFrom(FromText(more));
    const auto from_bytes = decoder.Decode(message.workload().uid(), message.SerializeAsString());
    const auto from_message = decoder.Decode(message.workload().uid(), message);
    ASSERT_TRUE(from_bytes.ok() && from_message.ok());
    EXPECT_TRUE(*from_bytes->workload == *from_message->workload);
    EXPECT_EQ(from_bytes->workload->waypoint.has_value(), !more.empty());
    EXPECT_FALSE(decoder.Decode("another", message.SerializeAsString()).ok());
  }
  EXPECT_EQ(decoder.Decode("n", std::string_view("\xff")).status().message(),
            "its bytes are no istio.workload.Address");
  EXPECT_FALSE(decoder.Decode("n", std::string_view()).ok());
}

TEST(AddressDecoder, LetsWorkloadsShareWhatTheyHaveInCommon) {
  AddressDecoder decoder;
  WorkloadRef workloads[4];
  for (int i = 0; i < 4; ++i) {
    Address message = FromText(kWhole);
    message.mutable_workload()->set_uid(absl::StrCat("uid-", i));
    message.mutable_workload()->set_node(i % 2 == 0 ? "even" : "odd");
    message.mutable_workload()->set_service_account(i % 2 == 0 ? "even" : "odd");
    workloads[i] = decoder.Decode(message.workload().uid(), message.SerializeAsString())->workload;
  }
  EXPECT_EQ(&workloads[0]->name_space.ToString(), &workloads[3]->name_space.ToString());
  EXPECT_EQ(&workloads[0]->services[0].service.ToString(),
            &workloads[3]->services[0].service.ToString());
  EXPECT_EQ(&workloads[1]->node.ToString(), &workloads[3]->node.ToString());
  EXPECT_EQ(&workloads[1]->identity->ToString(), &workloads[3]->identity->ToString());
  EXPECT_EQ(workloads[2]->identity->service_account(), "even");
  EXPECT_EQ(workloads[3]->identity->service_account(), "odd");
}

}  // namespace
}  // namespace heddle::agent
