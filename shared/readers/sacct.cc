// SPDX-License-Identifier: Apache-2.0
// `sacct -P` with a header row: fields between bars, nothing quoted.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "shared/readers/columns.h"
#include "shared/readers/row_reader.h"
#include "shared/readers/table_job.h"

namespace auspex {
namespace {

// Numbers before names: they survive a rename and are what slurmctld shows at submission.
// Source: sacct(1), --format, 20.11 to 25.11.
constexpr std::array<ColumnName, 30> kNames = {{
    {"JobID", Field::kId},
    {"JobIDRaw", Field::kId},
    {"UID", Field::kUser},
    {"User", Field::kUser},
    {"GID", Field::kGroup},
    {"Group", Field::kGroup},
    {"Account", Field::kAccount},
    {"Partition", Field::kPartition},
    {"QOS", Field::kQos},
    {"JobName", Field::kName},
    {"Submit", Field::kSubmit},
    {"Start", Field::kStart},
    {"End", Field::kEnd},
    {"ElapsedRaw", Field::kRuntime},
    {"Elapsed", Field::kRuntime},
    {"TimelimitRaw", Field::kLimitMin},
    {"Timelimit", Field::kLimitMin},
    {"State", Field::kState},
    {"ReqCPUS", Field::kCpus},
    {"NCPUS", Field::kCpus},
    {"AllocCPUS", Field::kCpus},
    {"ReqNodes", Field::kNodes},
    {"NNodes", Field::kNodes},
    {"ReqMem", Field::kMemory},
    {"ReqTRES", Field::kTres},
    {"AllocTRES", Field::kTres},
    {"Reservation", Field::kReservation},
    {"WorkDir", Field::kWorkDir},
    {"SubmitLine", Field::kSubmitLine},
    {"Constraints", Field::kConstraints},
}};

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

class SacctReader final : public RowReader {
 public:
  Result<bool> take_header(std::string_view line) override {
    if (columns_) return false;
    split(line, SIZE_MAX);
    Result<Columns> columns = Columns::bind(cells_, kNames);
    if (!columns) return columns.error();
    columns_ = *columns;
    return true;
  }

  Result<RowKind> take_row(std::string_view line, JobRecord& job) override {
    if (line.empty()) return RowKind::kSkipped;
    // A submit line may hold bars of its own; as the last column it takes them all.
    const bool open_end = columns_->is_last(Field::kSubmitLine);
    split(line, open_end ? columns_->count() : SIZE_MAX);
    // It may also hold line ends: what follows one begins with no job id and is too short.
    const bool rest_of_a_row = open_end && cells_.size() < columns_->count() && !is_digit(line[0]);
    if (rest_of_a_row) return RowKind::kSkipped;
    if (cells_.size() != columns_->count()) {
      return Error{std::to_string(cells_.size()) + " columns where the header has " +
                   std::to_string(columns_->count())};
    }
    const RowFields fields = columns_->fields(cells_);
    const bool step = fields[Field::kId].find('.') != std::string_view::npos;
    return step ? RowKind::kSkipped : job_of(fields, job);
  }

  bool ready() const override { return columns_.has_value(); }

 private:
  // Into at most max_cells cells: the last one takes the rest.
  void split(std::string_view line, size_t max_cells) {
    cells_.clear();
    while (cells_.size() + 1 < max_cells) {
      const size_t bar = line.find('|');
      if (bar == std::string_view::npos) break;
      cells_.push_back(line.substr(0, bar));
      line.remove_prefix(bar + 1);
    }
    cells_.push_back(line);
  }

  std::optional<Columns> columns_;
  std::vector<std::string_view> cells_;
};

}  // namespace

std::unique_ptr<RowReader> make_sacct_reader() {
  return std::make_unique<SacctReader>();
}

}  // namespace auspex
