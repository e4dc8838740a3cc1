#include <benchmark/benchmark.h>
#include <openssl/aead.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>

#include <array>
#include <cstdint>
#include <vector>

#include "lib/base/check.h"

// What BoringSSL does here without us: with machine_bench the constants of the limits that results are held against.
namespace heddle::bench {
namespace {

constexpr size_t kTag = 16;
using Aead = const EVP_AEAD* (*)();

// One key and a nonce that stays: what it costs does not depend on either.
class Sealer {
 public:
  explicit Sealer(Aead aead) {
    const std::vector<uint8_t> key(EVP_AEAD_key_length(aead()), 1);
    CHECK(EVP_AEAD_CTX_init(&context_, aead(), key.data(), key.size(), kTag, nullptr) == 1);
  }
  ~Sealer() { EVP_AEAD_CTX_cleanup(&context_); }
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // From `in` to `out`; the size of what was written.
  size_t Seal(const std::vector<uint8_t>& in, std::vector<uint8_t>& out) {
    size_t size = 0;
    CHECK(EVP_AEAD_CTX_seal(&context_, out.data(), &size, out.size(), nonce_.data(), nonce_.size(), in.data(),
                            in.size(), header_.data(), header_.size()) == 1);
    return size;
  }
  void Open(const std::vector<uint8_t>& in, std::vector<uint8_t>& out) {
    size_t size = 0;
    CHECK(EVP_AEAD_CTX_open(&context_, out.data(), &size, out.size(), nonce_.data(), nonce_.size(), in.data(),
                            in.size(), header_.data(), header_.size()) == 1);
  }

 private:
  EVP_AEAD_CTX context_{};
  std::array<uint8_t, 12> nonce_{};
  std::array<uint8_t, 5> header_{};  // A record's, which is authenticated with it.
};

void BM_Seal(benchmark::State& bench, Aead aead) {
  Sealer sealer(aead);
  const std::vector<uint8_t> plain(static_cast<size_t>(bench.range(0)), 'x');
  std::vector<uint8_t> sealed(plain.size() + kTag);
  for (auto _ : bench) benchmark::DoNotOptimize(sealer.Seal(plain, sealed));
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}

void BM_Open(benchmark::State& bench, Aead aead) {
  Sealer sealer(aead);
  std::vector<uint8_t> plain(static_cast<size_t>(bench.range(0)), 'x');
  std::vector<uint8_t> sealed(plain.size() + kTag);
  CHECK(sealer.Seal(plain, sealed) == sealed.size());
  for (auto _ : bench) sealer.Open(sealed, plain);
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}

#define HEDDLE_AEAD(operation, name, aead) \
  BENCHMARK_CAPTURE(operation, name, aead)->Arg(64)->Arg(1024)->Arg(1350)->Arg(16 * 1024)
HEDDLE_AEAD(BM_Seal, aes_128_gcm, EVP_aead_aes_128_gcm);
HEDDLE_AEAD(BM_Open, aes_128_gcm, EVP_aead_aes_128_gcm);
HEDDLE_AEAD(BM_Seal, aes_256_gcm, EVP_aead_aes_256_gcm);
HEDDLE_AEAD(BM_Open, aes_256_gcm, EVP_aead_aes_256_gcm);
HEDDLE_AEAD(BM_Seal, chacha20_poly1305, EVP_aead_chacha20_poly1305);
HEDDLE_AEAD(BM_Open, chacha20_poly1305, EVP_aead_chacha20_poly1305);
#undef HEDDLE_AEAD

// A key pair and the shared secret: one end's part of a key exchange.
void BM_X25519(benchmark::State& bench) {
  std::array<uint8_t, 32> peer_public{};
  std::array<uint8_t, 32> peer_private{};
  X25519_keypair(peer_public.data(), peer_private.data());
  for (auto _ : bench) {
    std::array<uint8_t, 32> ours{};
    std::array<uint8_t, 32> secret{};
    std::array<uint8_t, 32> shared{};
    X25519_keypair(ours.data(), secret.data());
    CHECK(X25519(shared.data(), secret.data(), peer_public.data()) == 1);
    benchmark::DoNotOptimize(shared);
  }
}
BENCHMARK(BM_X25519);

class SigningKey {
 public:
  SigningKey() : key_(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1)) {
    CHECK(key_ != nullptr && EC_KEY_generate_key(key_) == 1);
  }
  ~SigningKey() { EC_KEY_free(key_); }
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  std::vector<uint8_t> Sign() const {
    std::vector<uint8_t> signature(ECDSA_size(key_));
    unsigned size = 0;
    CHECK(ECDSA_sign(0, digest_.data(), digest_.size(), signature.data(), &size, key_) == 1);
    signature.resize(size);
    return signature;
  }
  bool Verify(const std::vector<uint8_t>& signature) const {
    return ECDSA_verify(0, digest_.data(), digest_.size(), signature.data(), signature.size(), key_) == 1;
  }

 private:
  EC_KEY* key_;
  std::array<uint8_t, 32> digest_{1, 2, 3};
};

void BM_P256Sign(benchmark::State& bench) {
  const SigningKey key;
  for (auto _ : bench) benchmark::DoNotOptimize(key.Sign());
}
BENCHMARK(BM_P256Sign);

void BM_P256Verify(benchmark::State& bench) {
  const SigningKey key;
  const std::vector<uint8_t> signature = key.Sign();
  for (auto _ : bench) CHECK(key.Verify(signature));
}
BENCHMARK(BM_P256Verify);

}  // namespace
}  // namespace heddle::bench
