// SPDX-License-Identifier: Apache-2.0
// The manual page of a program.
#pragma once

#include <string>
#include <string_view>

#include "apps/command_tree.h"

namespace ra::cli {

// Section 1, in the man macros of roff; the same bytes for the same command line and version.
std::string man_page(const CommandEntry& program, std::string_view version);

}  // namespace ra::cli
