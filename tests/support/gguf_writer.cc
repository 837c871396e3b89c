// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gguf_writer.h"

#include <cstdio>
#include <stdexcept>

namespace ra::testing {
namespace {

std::uint64_t padding(std::uint64_t size, std::uint64_t alignment) {
  return alignment ? (alignment - size % alignment) % alignment : 0;
}

}  // namespace

Bytes& Bytes::add(const void* bytes, std::size_t n) {
  const auto* p = static_cast<const std::byte*>(bytes);
  data.insert(data.end(), p, p + n);
  return *this;
}

Bytes& Bytes::zeros(std::size_t n) {
  data.resize(data.size() + n);
  return *this;
}

GgufWriter& GgufWriter::strings(std::string_view key, const std::vector<std::string>& items) {
  Bytes value;
  for (const auto& s : items) value.string(s);
  return raw_array(key, kString, items.size(), value.data);
}

GgufWriter& GgufWriter::raw_key(std::string_view key, std::uint32_t type,
                                const std::vector<std::byte>& value) {
  return raw_pair(Bytes().string(key).put(type).append(value).data);
}

GgufWriter& GgufWriter::raw_array(std::string_view key, std::uint32_t item_type,
                                  std::uint64_t count, const std::vector<std::byte>& items) {
  return raw_key(key, kArray, Bytes().put(item_type).put(count).append(items).data);
}

GgufWriter& GgufWriter::raw_pair(const std::vector<std::byte>& bytes) {
  pairs_.push_back(bytes);
  return *this;
}

GgufWriter::TensorRecord& GgufWriter::tensor(std::string name, std::vector<std::uint64_t> dims,
                                             std::uint32_t type, std::vector<std::byte> data) {
  TensorRecord& record = tensors_.emplace_back();
  record.name = std::move(name);
  record.dims = std::move(dims);
  record.type = type;
  record.data = std::move(data);
  return record;
}

GgufWriter::TensorRecord& GgufWriter::f32_tensor(std::string name, std::vector<std::uint64_t> dims,
                                                 float value) {
  std::uint64_t count = 1;
  for (const auto d : dims) count *= d;
  Bytes data;
  for (std::uint64_t i = 0; i < count; ++i) data.put(value + static_cast<float>(i));
  return tensor(std::move(name), std::move(dims), 0, std::move(data.data));
}

std::vector<std::byte> GgufWriter::header_bytes() const {
  Bytes out;
  out.raw(magic).put(version);
  out.put<std::uint64_t>(tensor_count.value_or(tensors_.size()));
  out.put<std::uint64_t>(key_count.value_or(pairs_.size()));
  for (const auto& pair : pairs_) out.append(pair);
  std::uint64_t offset = 0;
  for (const TensorRecord& t : tensors_) {
    out.put<std::uint64_t>(t.name_length.value_or(t.name.size())).raw(t.name);
    out.put<std::uint32_t>(t.n_dims.value_or(static_cast<std::uint32_t>(t.dims.size())));
    for (const auto d : t.dims) out.put<std::uint64_t>(d);
    out.put<std::uint32_t>(t.type).put<std::uint64_t>(t.offset.value_or(offset));
    offset += t.data.size() + padding(t.data.size(), alignment);
  }
  if (!tensors_.empty()) out.zeros(padding(out.data.size(), alignment));
  return out.data;
}

std::vector<std::byte> GgufWriter::bytes() const {
  Bytes out;
  out.append(header_bytes());
  for (const TensorRecord& t : tensors_) {
    out.append(t.data);
    if (&t != &tensors_.back() || pad_last) out.zeros(padding(t.data.size(), alignment));
  }
  return out.zeros(trailing).data;
}

void GgufWriter::save(const std::string& path) const { save_bytes(path, bytes()); }

void save_bytes(const std::string& path, std::span<const std::byte> bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() ||
      std::fclose(file) != 0)
    throw std::runtime_error("cannot write " + path);
}

}  // namespace ra::testing
