// The folder of a mobile checkpoint while it is made, and the small files that go into it.
#pragma once

#include <string>

#include "core/model/checkpoint.h"
#include "core/status.h"
#include "quant/convert/scheme.h"

namespace gemlet {

/// A folder that is made as PATH.partial and deleted unless finish() gives it its name, or it is to
/// be resumed.
class NewFolder {
  public:
    NewFolder(std::string path, bool resume);
    ~NewFolder();
    NewFolder(const NewFolder&) = delete;
    NewFolder& operator=(const NewFolder&) = delete;

    /// Makes it, or takes the one that an earlier run has left to be resumed. Errors: `io` where
    /// PATH exists or the folder cannot be made.
    Status make();
    /// The path of a file in it.
    std::string file(const std::string& name) const { return partial_ + "/" + name; }
    Status finish();

  private:
    std::string path_;
    std::string partial_;
    bool resume_ = false;
    bool made_ = false;
};

/// Copies what lies beside the weights of `source`, and writes config.json with the widths of
/// `scheme`. Errors: `io`.
Status write_small_files(const Checkpoint& source, const Scheme& scheme, const NewFolder& folder);

}  // namespace gemlet
