// SPDX-License-Identifier: Apache-2.0
#include "apps/command_tree.h"

#include <sstream>

namespace ra::cli {
namespace {

OptionEntry read_option(const CLI::Option& option, bool is_config) {
  OptionEntry entry;
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  if (option.get_positional()) entry.positional = option.get_name(true);
  entry.help = option.get_description();
  entry.group = option.get_group();
  entry.envname = option.get_envname();
  entry.fallback = option.get_default_str();
  entry.required = option.get_required();
  if (is_config) entry.label = "FILE";  // CLI11 gives it no type
  if (option.get_items_expected_max() == 0) return entry;
  entry.repeated = option.get_items_expected_max() > 1;
  // "LABEL" or "LABEL:CHECK", where a set of values is "{a,b,c}".
  const std::string type = option.get_type_name();
  const std::size_t colon = type.find(':');
  entry.label = type.substr(0, colon);
  if (colon == std::string::npos) return entry;
  entry.range = type.substr(colon + 1);
  if (!entry.range.starts_with('{') || !entry.range.ends_with('}')) return entry;
  std::istringstream names(entry.range.substr(1, entry.range.size() - 2));
  for (std::string name; std::getline(names, name, ',');) entry.choices.push_back(name);
  entry.range.clear();
  return entry;
}

}  // namespace

CommandEntry read_commands(const CLI::App& app) {
  CommandEntry entry;
  entry.name = app.get_name();
  entry.help = app.get_description();
  entry.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty())
      entry.options.push_back(read_option(*option, option == app.get_config_ptr()));
  for (const CLI::App* command : app.get_subcommands({}))
    entry.commands.push_back(read_commands(*command));
  return entry;
}

std::string first_line(const std::string& help) { return help.substr(0, help.find('\n')); }

}  // namespace ra::cli
