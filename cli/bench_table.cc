// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_table.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace auspex::cli {
namespace {

// Four digits that count.
std::string number_text(double value) {
  char text[40];
  const int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string rate_text(double per_s) {
  char text[40];
  std::snprintf(text, sizeof(text), per_s < 1e6 ? "%.0f" : "%.3g M",
                per_s < 1e6 ? per_s : per_s / 1e6);
  return text;
}

// The same network, batch and cache: what can be compared.
bool comparable(const BenchRow& a, const BenchRow& b) {
  return a.hidden == b.hidden && a.batch == b.batch && a.cold == b.cold;
}

void print_row(const BenchRow& row, double fastest_us) {
  const BenchLabel& label = row.label;
  const std::string floor = row.floor_us > 0 ? number_text(row.median_us / row.floor_us) : "";
  char text[200];
  std::snprintf(text, sizeof(text), "%5u  %-12s %-9s %-5s %-5s %-6s %-4s %10s %10s %9s %7s %6s",
                row.batch, label.technique.c_str(), label.backend.c_str(), label.precision.c_str(),
                label.sparsity.c_str(), label.input.c_str(), row.cold ? "cold" : "warm",
                number_text(row.median_us).c_str(), number_text(row.p99_us).c_str(),
                rate_text(1e6 * row.batch / row.median_us).c_str(),
                number_text(row.median_us / fastest_us).c_str(), floor.c_str());
  const bool fastest = row.median_us <= fastest_us;
  std::printf("%s\n", coloured(text, fastest ? Colour::kGreen : Colour::kPlain).c_str());
}

}  // namespace

void print_bench(std::span<const BenchRow> rows) {
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    while (end < rows.size() && comparable(rows[begin], rows[end])) ++end;
    if (begin == 0 || rows[begin].hidden != rows[begin - 1].hidden) {
      std::printf("%s%s\n", begin == 0 ? "" : "\n",
                  coloured(rows[begin].hidden, Colour::kBold).c_str());
      std::puts(
          "batch  technique    backend   prec. spars input  cache  median us     p99 us  "
          " per s x fastest x floor");
    } else {
      std::puts("");
    }
    std::vector<const BenchRow*> sorted;
    for (const BenchRow& row : rows.subspan(begin, end - begin)) sorted.push_back(&row);
    std::ranges::stable_sort(sorted, {}, &BenchRow::median_us);
    for (const BenchRow* row : sorted) print_row(*row, sorted.front()->median_us);
    begin = end;
  }
}

nlohmann::json bench_json(std::span<const BenchRow> rows) {
  nlohmann::json all = nlohmann::json::array();
  for (const BenchRow& row : rows) {
    nlohmann::json one = {{"batch", row.batch},
                          {"technique", row.label.technique},
                          {"backend", row.label.backend},
                          {"precision", row.label.precision},
                          {"sparsity", row.label.sparsity},
                          {"input", row.label.input},
                          {"hidden", row.hidden},
                          {"cache", row.cold ? "cold" : "warm"},
                          {"median_us", row.median_us},
                          {"p99_us", row.p99_us},
                          {"trials", row.trials}};
    if (row.floor_us > 0) {
      one["bytes"] = row.bytes;
      one["floor_us"] = row.floor_us;
    }
    all.push_back(std::move(one));
  }
  return {{"rows", std::move(all)}};
}

}  // namespace auspex::cli
