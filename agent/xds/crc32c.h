#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::agent {

// CRC-32C (Castagnoli), as in RFC 3720 section 12.1 and appendix B.4: by the CPU's own instruction where
// an x86-64 has it.
uint32_t Crc32c(std::string_view bytes);

// The same on any CPU.
uint32_t Crc32cByTables(std::string_view bytes);

}  // namespace heddle::agent
