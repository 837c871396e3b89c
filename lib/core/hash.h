// SPDX-License-Identifier: Apache-2.0
// sha256 (OpenSSL) names files and inputs; xxh3-64 (xxHash) guards blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace ra {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  std::string hex();  // finishes the hash

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(const std::string& text);
// Throws Error{kNoInput, kIo}.
std::string sha256_file(const std::filesystem::path& file);

std::uint64_t xxh3_64(std::span<const std::byte> bytes);

}  // namespace ra
