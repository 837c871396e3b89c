// SPDX-License-Identifier: Apache-2.0
// The inputs of tests/golden/tokenizer/make_fixture.py, generated again, and their hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/core/json.h"
#include "lib/core/rng.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::tokenizer {

Json read_golden(const std::string& name);  // tests/golden/tokenizer/NAME
Vocab small_vocab(const Json& golden);

// The random strings; draws in the order of make_fixture.py.
class RandomStrings {
 public:
  RandomStrings();
  std::size_t size() const { return pools_["strings"]; }
  std::string at(std::size_t i) const;
  std::vector<std::string> long_runs() const { return pools_["long_runs"]; }

 private:
  std::string fragment(Rng& rng) const;
  std::string several(Rng& rng, std::uint64_t limit,
                      const std::function<std::string()>& draw) const;
  const std::string& pick(Rng& rng, const char* pool) const;
  Json pools_;
};

// sha256 over (count, ids...) of each input, cut to 16 hex digits, as make_fixture.py does.
std::string hash_of(const std::vector<std::vector<std::int32_t>>& encodings);

// Compares everything `golden` holds about this vocabulary. Each difference is one failure that
// names the set and the block.
void expect_identical(const Tokenizer& tokenizer, const Json& golden);

// The same for one million times the i-th of long_runs().
void expect_identical_run(const Tokenizer& tokenizer, const Json& golden, std::size_t i);

}  // namespace ra::tokenizer
