// SPDX-License-Identifier: Apache-2.0
// A GGUF file in memory: a real one, read and then changed key by key and tensor by tensor. What
// the strict reader would refuse can be had too.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/gguf/reader.h"

namespace ra::test {

class FakeGguf : public gguf::File {
 public:
  explicit FakeGguf(const std::filesystem::path& base);

  void set(const std::string& key, gguf::Value value);  // replaces or adds
  void erase(const std::string& key);
  gguf::Tensor& change(const std::string& name);  // must exist; shape and name may be changed
  // The tensor's bytes, copied so that they can be written to.
  std::span<float> change_floats(const std::string& name);
  void erase_tensor(const std::string& name);
  void add_floats(const std::string& name, const std::vector<float>& values);

  const std::filesystem::path& path() const override { return base_->path(); }
  std::uint32_t version() const override { return base_->version(); }
  const gguf::Value* find(std::string_view key) const override;
  std::span<const std::pair<std::string, gguf::Value>> metadata() const override {
    return metadata_;
  }
  const gguf::Tensor* tensor(std::string_view name) const override;
  std::span<const gguf::Tensor> tensors() const override { return tensors_; }
  std::span<const std::string> warnings() const override { return base_->warnings(); }
  std::string sha256() const override { return base_->sha256(); }
  void check_unchanged() const override { base_->check_unchanged(); }

 private:
  std::unique_ptr<gguf::File> base_;
  std::vector<std::pair<std::string, gguf::Value>> metadata_;
  std::vector<gguf::Tensor> tensors_;
  std::deque<std::vector<float>> data_;
};

std::filesystem::path tiny_model(const std::string& name);  // tests/golden/gguf/NAME.gguf

}  // namespace ra::test
