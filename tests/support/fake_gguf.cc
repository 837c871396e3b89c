// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_gguf.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace ra::test {

FakeGguf::FakeGguf(const std::filesystem::path& base)
    : base_(gguf::File::open(base)),
      metadata_(base_->metadata().begin(), base_->metadata().end()),
      tensors_(base_->tensors().begin(), base_->tensors().end()) {}

void FakeGguf::set(const std::string& key, gguf::Value value) {
  erase(key);
  metadata_.emplace_back(key, std::move(value));
}

void FakeGguf::erase(const std::string& key) {
  std::erase_if(metadata_, [&](const auto& entry) { return entry.first == key; });
}

gguf::Tensor& FakeGguf::change(const std::string& name) {
  for (gguf::Tensor& t : tensors_)
    if (t.name == name) return t;
  throw std::runtime_error("no tensor " + name);
}

std::span<float> FakeGguf::change_floats(const std::string& name) {
  gguf::Tensor& t = change(name);
  std::vector<float>& copy = data_.emplace_back(t.bytes / sizeof(float));
  std::memcpy(copy.data(), t.data, t.bytes);
  t.data = reinterpret_cast<const std::byte*>(copy.data());
  return copy;
}

void FakeGguf::erase_tensor(const std::string& name) {
  std::erase_if(tensors_, [&](const gguf::Tensor& t) { return t.name == name; });
}

void FakeGguf::add_floats(const std::string& name, const std::vector<float>& values) {
  const std::vector<float>& copy = data_.emplace_back(values);
  gguf::Tensor t;
  t.name = name;
  t.dims = {copy.size()};
  t.data = reinterpret_cast<const std::byte*>(copy.data());
  t.bytes = copy.size() * sizeof(float);
  tensors_.push_back(t);
}

const gguf::Value* FakeGguf::find(std::string_view key) const {
  for (const auto& [name, value] : metadata_)
    if (name == key) return &value;
  return nullptr;
}

const gguf::Tensor* FakeGguf::tensor(std::string_view name) const {
  for (const gguf::Tensor& t : tensors_)
    if (t.name == name) return &t;
  return nullptr;
}

std::filesystem::path tiny_model(const std::string& name) {
  return "tests/golden/gguf/" + name + ".gguf";  // tests run in the repository root
}

}  // namespace ra::test
