// SPDX-License-Identifier: Apache-2.0
#include "shared/submission.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace auspex {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::optional<uint32_t> to_number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `visit` for each piece between separators.
template <class Visit>
void split(std::string_view text, char separator, Visit&& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

struct Gpus {
  double count = 0;
  std::string type;
};

// "gpu:2", "gres:gpu:a100:2", "gres/gpu:1g.5gb:1,gres/shard:3", "gres/gpu=2": the gpu entries.
// Source: slurm.md and sbatch(1), --gres; the prefix is "gres:" up to 23.02, "gres/" from 23.11.
Gpus gpus_in(std::string_view tres) {
  Gpus found;
  split(tres, ',', [&found](std::string_view entry) {
    entry = trim(entry);
    for (const std::string_view prefix : {"gres:", "gres/"}) {
      if (entry.starts_with(prefix)) entry.remove_prefix(prefix.size());
    }
    if (!entry.starts_with("gpu")) return;
    entry.remove_prefix(3);
    double count = 1;
    std::string_view type;
    split(entry, ':', [&](std::string_view part) {
      split(part, '=', [&](std::string_view word) {
        if (const auto number = to_number(word)) {
          count = *number;
        } else if (!word.empty()) {
          type = word;
        }
      });
    });
    found.count += count;
    if (found.type.empty()) found.type = type;
  });
  return found;
}

// "0-15", "1,3,5-9:2", "0-99%10" -> how many tasks. Source: sbatch(1), --array.
double array_tasks(std::string_view array) {
  if (array.empty()) return 1;
  double tasks = 0;
  split(array.substr(0, array.find('%')), ',', [&tasks](std::string_view range) {
    uint32_t step = 1;
    if (const size_t colon = range.find(':'); colon != std::string_view::npos) {
      step = to_number(range.substr(colon + 1)).value_or(1);
      range = range.substr(0, colon);
    }
    const size_t dash = range.find('-');
    const auto first = to_number(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : to_number(range.substr(dash + 1));
    if (!first || !last || *last < *first || step == 0) return;
    const uint32_t steps = (*last - *first) / step;
    tasks += steps + 1.0;
  });
  return std::max(tasks, 1.0);
}

struct TextDirective {
  std::string_view word, variable;
  std::string Directives::*to;
};
constexpr TextDirective kTextDirectives[] = {
    {"model=", "AUSPEX_MODEL=", &Directives::model},
    {"input=", "AUSPEX_INPUT=", &Directives::input},
    {"mode=", "AUSPEX_MODE=", &Directives::mode},
    {"format=", "AUSPEX_FORMAT=", &Directives::format},
    {"optimizer=", "AUSPEX_OPTIMIZER=", &Directives::optimizer}};

void read_word(std::string_view word, Directives& out) {
  if (word == "off") out.off = true;
  if (word.starts_with("batch=")) {
    if (const auto batch = to_number(word.substr(6))) out.batch = *batch;
  }
  for (const TextDirective& text : kTextDirectives) {
    if (word.starts_with(text.word)) out.*text.to = word.substr(text.word.size());
  }
}

void read_variable(std::string_view variable, Directives& out) {
  if (variable.starts_with("AUSPEX_BATCH=")) {
    if (const auto batch = to_number(variable.substr(13))) out.batch = *batch;
  }
  for (const TextDirective& text : kTextDirectives) {
    if (variable.starts_with(text.variable)) out.*text.to = variable.substr(text.variable.size());
  }
}

void read_line(std::string_view words, Directives& out) {
  std::string blank_separated(words);
  std::replace(blank_separated.begin(), blank_separated.end(), '\t', ' ');
  split(blank_separated, ' ', [&out](std::string_view word) { read_word(word, out); });
}

}  // namespace

Resources requested_resources(const Submission& s) {
  Resources r;
  const double tasks = s.num_tasks.value_or(1);
  const double per_task = s.cpus_per_task.value_or(1);
  r.nodes = std::max<double>(s.min_nodes.value_or(1), 1);
  r.cpus = std::max({tasks * per_task, static_cast<double>(s.min_cpus.value_or(1)),
                     s.pn_min_cpus.value_or(0) * r.nodes,
                     s.ntasks_per_node.value_or(0) * per_task * r.nodes, 1.0});

  const Gpus per_job = gpus_in(s.tres_per_job), per_node = gpus_in(s.tres_per_node),
             per_task_gpus = gpus_in(s.tres_per_task), per_socket = gpus_in(s.tres_per_socket);
  r.gpus = std::max({per_job.count, per_node.count * r.nodes, per_task_gpus.count * tasks,
                     per_socket.count * r.nodes});
  for (const Gpus* gpus : {&per_job, &per_node, &per_task_gpus, &per_socket}) {
    if (r.gpu_type.empty()) r.gpu_type = gpus->type;
  }
  r.array_tasks = array_tasks(s.array);
  if (s.memory_per_cpu_mib) {
    r.memory_per_cpu_mib = static_cast<double>(*s.memory_per_cpu_mib);
  } else if (s.memory_per_node_mib) {
    r.memory_per_cpu_mib = static_cast<double>(*s.memory_per_node_mib) * r.nodes / r.cpus;
  }
  return r;
}

Directives directives_of(const Submission& submission) {
  Directives out;
  bool in_head = true;
  split(submission.script, '\n', [&](std::string_view line) {
    line = trim(line);
    if (!in_head || line.empty()) return;
    if (line.front() != '#') {
      in_head = false;
    } else if (line.starts_with("#AUSPEX ") || line.starts_with("#AUSPEX\t")) {
      read_line(line.substr(8), out);
    }
  });
  for (const std::string& variable : submission.environment) {
    const std::string_view text = variable;
    if (text.starts_with("AUSPEX=")) {
      read_line(text.substr(7), out);
    } else {
      read_variable(text, out);
    }
  }
  return out;
}

}  // namespace auspex
