// SPDX-License-Identifier: Apache-2.0
// What a shell needs to complete the commands, options and values of a program.
#pragma once

#include <string>
#include <string_view>

#include "apps/command_tree.h"

namespace ra::cli {

// A script for `shell`: bash, zsh (an autoload function, "#compdef") or fish. Values are completed
// where the parser knows them all, as file names otherwise.
std::string completion_script(const CommandEntry& program, std::string_view shell);

}  // namespace ra::cli
