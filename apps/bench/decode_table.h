// SPDX-License-Identifier: Apache-2.0
// Records of ra-bench as tables that fit a terminal.
#pragma once

#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench_app {

// `format` is md, csv or none.
void print_prefill_table(const std::vector<Json>& records, const std::string& format);
void print_decode_table(const std::vector<Json>& records, const std::string& format);
void print_attention_table(const std::vector<Json>& records, const std::string& format);

}  // namespace ra::bench_app
