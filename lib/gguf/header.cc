// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/header.h"

#include <fmt/format.h>

#include <string_view>

#include "lib/gguf/metadata.h"
#include "lib/gguf/tensor_table.h"

namespace ra::gguf {
namespace {

constexpr std::uint64_t kMinPairBytes = 8 + 4 + 1;  // key length, value type, one byte of value
constexpr std::uint64_t kMinTensorBytes = 32;

struct OtherFormat {
  std::string_view start, name, hint;
};
constexpr OtherFormat kOthers[] = {
    {"FUGG", "a byte-swapped GGUF file", "convert it again on a little-endian machine"},
    {"version https://git-lfs", "a Git LFS pointer", "fetch the real file: git lfs pull"},
    {"<!DOCTYPE", "an HTML page", "the download went wrong"},
    {"<!doctype", "an HTML page", "the download went wrong"},
    {"<html", "an HTML page", "the download went wrong"},
    {"lmgg", "a GGML file, older than GGUF", "convert the model again"},
    {"fmgg", "a GGML file, older than GGUF", "convert the model again"},
    {"tjgg", "a GGML file, older than GGUF", "convert the model again"},
    {"PK\x03\x04", "a zip or PyTorch file", "convert it to GGUF"},
};

void check_magic(Cursor& in) {
  if (in.size() == 0) in.fail("the file is empty");
  const std::string_view start(reinterpret_cast<const char*>(in.at(0)),
                               static_cast<std::size_t>(in.size()));
  for (const OtherFormat& other : kOthers)
    if (start.starts_with(other.start))
      in.fail(fmt::format("this is {}, not GGUF", other.name), std::string(other.hint));
  const std::string_view magic = start.substr(0, 4);
  if (magic.size() == 4 && magic != "GGUF")
    in.fail(fmt::format("magic is '{}', not 'GGUF'", magic), "not a GGUF file");
  in.read<std::uint32_t>("magic");
}

void check_version(Cursor& in, std::uint32_t version) {
  if (version == 2 || version == 3) return;
  if (version == 1)
    in.fail("GGUF version 1 is not supported, 2 and 3 are", "convert the model again");
  if (const std::uint32_t swapped = __builtin_bswap32(version); swapped >= 1 && swapped <= 0xffff)
    in.fail(fmt::format("byte-swapped (big-endian) GGUF version {} is not supported", swapped),
            "convert it again on a little-endian machine");
  in.fail(fmt::format("GGUF version {} is unknown, 2 and 3 are supported", version));
}

}  // namespace

Header read_header(Cursor& in) {
  check_magic(in);
  Header header;
  header.version = in.read<std::uint32_t>("version");
  check_version(in, header.version);
  header.tensors = in.read<std::uint64_t>("tensor count");
  in.check_count(header.tensors, kMinTensorBytes, kMaxTensors, "tensors");
  header.keys = in.read<std::uint64_t>("key count");
  in.check_count(header.keys, kMinPairBytes, kMaxKeys, "keys");
  return header;
}

}  // namespace ra::gguf
