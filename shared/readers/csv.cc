// SPDX-License-Identifier: Apache-2.0
// Comma-separated values with a header row. Source: RFC 4180.
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/readers/columns.h"
#include "shared/readers/line_source.h"
#include "shared/readers/row_reader.h"
#include "shared/readers/table_job.h"

namespace auspex {
namespace {

// Source: the column names of two published Slurm histories: Cedar 2021
// (mila-iqia/slurm-queue-time-pred) and Eagle 2019 (NREL/eagle-jobs).
constexpr std::array<ColumnName, 25> kNames = {{
    {"job_id", Field::kId},
    {"job_unique_id", Field::kId},
    {"user", Field::kUser},
    {"group", Field::kGroup},
    {"account", Field::kAccount},
    {"account_id", Field::kAccount},
    {"partition", Field::kPartition},
    {"partition_id_x", Field::kPartition},
    {"qos", Field::kQos},
    {"name", Field::kName},
    {"submit_time", Field::kSubmit},
    {"start_time", Field::kStart},
    {"end_time", Field::kEnd},
    {"run_time", Field::kRuntime},
    {"elapsed_time", Field::kRuntime},
    {"wallclock_req", Field::kLimitS},
    {"time_limit_sec", Field::kLimitS},
    {"state", Field::kState},
    {"processors_req", Field::kCpus},
    {"req_cpus", Field::kCpus},
    {"nodes_req", Field::kNodes},
    {"req_mem_per_cpu", Field::kMemoryPerCpu},
    {"req_tres", Field::kTres},
    {"gpus_req", Field::kGpus},
    {"work_dir", Field::kWorkDir},
}};

// Each further line has the row cut again from its start: the bound keeps that from growing.
constexpr size_t kMaxRowLines = 1000;

// Cuts rows into cells and takes quotes off. A quoted cell may go on over several lines.
class CsvSplitter {
 public:
  // False when a quote is still open at the end of the line: the row goes on.
  // Errors: a quote that is open for too long, text after a closing quote.
  Result<bool> split(std::string_view line) {
    const bool continued = row_lines_ > 0;
    if (row_lines_ == kMaxRowLines || row_.size() + line.size() > kMaxLineBytes) {
      drop();
      return Error{"a quote is open for too long"};
    }
    if (continued) line = row_.append("\n").append(line);
    Result<bool> whole = cut(line);
    if (whole.ok() && !*whole) {
      if (!continued) row_ = line;
      ++row_lines_;
      return false;
    }
    row_lines_ = 0;
    // The cells may point into the row, so it is kept until the next one.
    finished_ = std::exchange(row_, {});
    if (continued && whole.ok()) whole = cut(finished_);
    return whole;
  }

  // Forgets the lines of a row that goes on.
  void drop() {
    row_.clear();
    row_lines_ = 0;
  }

  const std::vector<std::string_view>& cells() const { return cells_; }

 private:
  Result<bool> cut(std::string_view row) {
    cells_.clear();
    unquoted_count_ = 0;
    while (true) {
      size_t end = 0;
      if (row.starts_with('"')) {
        const size_t close = closing_quote(row);
        if (close == std::string_view::npos) return false;
        cells_.push_back(unquoted(row.substr(1, close - 1)));
        end = close + 1;
        if (end < row.size() && row[end] != ',') return Error{"text after a closing quote"};
      } else {
        end = std::min(row.find(','), row.size());
        cells_.push_back(row.substr(0, end));
      }
      if (end == row.size()) return true;
      row.remove_prefix(end + 1);
    }
  }

  // Of the quote that row begins with; npos when it stays open. Doubled quotes are text.
  static size_t closing_quote(std::string_view row) {
    size_t quote = row.find('"', 1);
    while (quote != std::string_view::npos && row.substr(quote + 1).starts_with('"')) {
      quote = row.find('"', quote + 2);
    }
    return quote;
  }

  // Doubled quotes become single ones.
  std::string_view unquoted(std::string_view text) {
    if (text.find('"') == std::string_view::npos) return text;
    if (unquoted_count_ == unquoted_.size()) unquoted_.push_back(std::make_unique<std::string>());
    std::string& plain = *unquoted_[unquoted_count_++];
    plain.clear();
    for (size_t index = 0; index < text.size(); ++index) {
      plain.push_back(text[index]);
      if (text[index] == '"') ++index;
    }
    return plain;
  }

  std::string row_;       // the lines so far of a row that goes on
  size_t row_lines_ = 0;  // how many
  std::string finished_;  // what cells_ points into after a row of several lines
  std::vector<std::string_view> cells_;
  std::vector<std::unique_ptr<std::string>> unquoted_;  // reused; addresses must not move
  size_t unquoted_count_ = 0;
};

class CsvReader final : public RowReader {
 public:
  Result<bool> take_header(std::string_view line) override {
    if (columns_) return false;
    Result<bool> whole = splitter_.split(line);
    if (!whole) return whole.error();
    if (!*whole) return true;
    Result<Columns> columns = Columns::bind(splitter_.cells(), kNames);
    if (!columns) return columns.error();
    columns_ = *columns;
    return true;
  }

  Result<RowKind> take_row(std::string_view line, JobRecord& job) override {
    Result<bool> whole = splitter_.split(line);
    if (!whole) return whole.error();
    if (!*whole) return RowKind::kIncomplete;
    const std::vector<std::string_view>& cells = splitter_.cells();
    if (cells.size() == 1 && cells[0].empty()) return RowKind::kSkipped;
    if (cells.size() != columns_->count()) {
      return Error{std::to_string(cells.size()) + " columns where the header has " +
                   std::to_string(columns_->count())};
    }
    return job_of(columns_->fields(cells), job);
  }

  bool ready() const override { return columns_.has_value(); }
  void drop_row() override { splitter_.drop(); }

 private:
  std::optional<Columns> columns_;
  CsvSplitter splitter_;
};

}  // namespace

std::unique_ptr<RowReader> make_csv_reader() {
  return std::make_unique<CsvReader>();
}

}  // namespace auspex
