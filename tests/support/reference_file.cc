// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reference_file.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

namespace ra::test {
namespace {

float half_to_float(std::uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -24)
                              : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (h & 0x8000) != 0 ? -magnitude : magnitude;  // no infinities in reference files
}

template <class T>
std::vector<T> read_values(std::ifstream& in, std::size_t n) {
  std::vector<T> values(n);
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(n * sizeof(T)));
  return values;
}

}  // namespace

ReferenceFile::ReferenceFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  if (!std::getline(in, line)) throw std::runtime_error("cannot read " + path.string());
  header_ = Json::parse(line);
  for (const Json& entry : header_.at("arrays")) {
    ReferenceArray a;
    std::size_t n = 1;
    for (const Json& d : entry.at("shape")) n *= a.shape.emplace_back(d.get<std::size_t>());
    const auto dtype = entry.at("dtype").get<std::string>();
    if (dtype == "int32") {
      a.integers = read_values<std::int32_t>(in, n);
    } else if (dtype == "float32") {
      a.floats = read_values<float>(in, n);
    } else if (dtype == "float16") {
      for (const std::uint16_t h : read_values<std::uint16_t>(in, n))
        a.floats.push_back(half_to_float(h));
    } else {
      throw std::runtime_error(path.string() + ": dtype " + dtype);
    }
    arrays_[entry.at("name").get<std::string>()] = std::move(a);
  }
  if (!in || in.peek() != std::ifstream::traits_type::eof())
    throw std::runtime_error(path.string() + ": wrong length");
}

}  // namespace ra::test
