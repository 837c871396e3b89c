// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda/block.h"
#include "tests/support/cuda/machine.h"

namespace ra::testing {

std::vector<std::string> machines() { return {"ascending", "descending"}; }

std::string use_machine(const std::string& name) {
  cuda_emulation::set_order(name == "ascending" ? cuda_emulation::Order::kAscending
                                                : cuda_emulation::Order::kDescending);
  return "";
}

}  // namespace ra::testing
