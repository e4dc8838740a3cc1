// Runs a fuzz target once over every file of the given folders: the ordinary test run replays each corpus with it.
// An empty or missing corpus is a failure, so that a lost folder cannot pass for a green test.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

bool ReplayFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  // An exact-size copy: AddressSanitizer then sees a read behind the last byte.
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

// Number of inputs replayed; 0 says that the folder is of no use.
int ReplayFolder(const std::string& folder) {
  std::error_code error;
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.is_regular_file()) continue;
    if (!ReplayFile(entry.path())) return 0;
    ++inputs;
  }
  if (inputs == 0) std::fprintf(stderr, "%s: no inputs to replay\n", folder.c_str());
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS...\n", argv[0]);
    return 2;
  }
  for (int i = 1; i < argc; ++i) {
    const int inputs = ReplayFolder(argv[i]);
    if (inputs == 0) return 1;
    std::printf("%s: %d inputs\n", argv[i], inputs);
  }
  return 0;
}
