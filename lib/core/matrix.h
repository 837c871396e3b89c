// SPDX-License-Identifier: Apache-2.0
// Owning, 64-byte aligned, row-major matrix of trivially copyable elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "kernels/types.h"

namespace ra {

// 64-byte aligned memory, not initialised.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);
  struct Free {
    void operator()(T* p) const { ::operator delete (p, std::align_val_t{64}); }
  };

 public:
  AlignedBuffer() = default;
  // Throws std::bad_alloc, also for an n that wraps.
  explicit AlignedBuffer(std::size_t n)
      : data_(static_cast<T*>(::operator new (bytes_of(n), std::align_val_t{64}))), size_(n) {}
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }
  // Grows without keeping the contents; never shrinks.
  void reserve_discard(std::size_t n) {
    if (n > size_) *this = AlignedBuffer(n);
  }

 private:
  static std::size_t bytes_of(std::size_t n) {
    if (n > SIZE_MAX / sizeof(T)) throw std::bad_array_new_length();
    return n * sizeof(T);
  }
  std::unique_ptr<T[], Free> data_;
  std::size_t size_ = 0;
};

template <class T>
class Matrix {
 public:
  Matrix() = default;
  // Zero-filled [rows, cols]. Throws std::bad_alloc, also for shapes that wrap.
  Matrix(std::size_t rows, std::size_t cols)
      : buffer_(elements(rows, cols)), rows_(rows), cols_(cols) {
    std::fill_n(buffer_.data(), buffer_.size(), T{});
  }
  Matrix(Matrix&& other) noexcept
      : buffer_(std::move(other.buffer_)),
        rows_(std::exchange(other.rows_, 0)),
        cols_(std::exchange(other.cols_, 0)) {}
  Matrix& operator=(Matrix&& other) noexcept {
    buffer_ = std::move(other.buffer_);
    rows_ = std::exchange(other.rows_, 0);
    cols_ = std::exchange(other.cols_, 0);
    return *this;
  }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  T* data() { return buffer_.data(); }
  const T* data() const { return buffer_.data(); }
  T* row(std::size_t i) { return data() + i * cols_; }
  const T* row(std::size_t i) const { return data() + i * cols_; }
  std::span<T> row_span(std::size_t i) { return {row(i), cols_}; }
  std::span<const T> row_span(std::size_t i) const { return {row(i), cols_}; }
  MatView<T> view() { return {data(), rows_, cols_}; }
  MatView<const T> view() const { return {data(), rows_, cols_}; }
  std::size_t bytes() const { return rows_ * cols_ * sizeof(T); }

 private:
  static std::size_t elements(std::size_t rows, std::size_t cols) {
    if (cols != 0 && rows > SIZE_MAX / cols) throw std::bad_array_new_length();
    return rows * cols;
  }
  AlignedBuffer<T> buffer_;
  std::size_t rows_ = 0, cols_ = 0;
};

}  // namespace ra
