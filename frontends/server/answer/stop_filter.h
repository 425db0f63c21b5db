// Ends a text at the first of some strings, wherever the pieces it comes in are cut.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gemlet::server {

class StopFilter {
  public:
    explicit StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    /// Takes more text; returns what may be shown. What may be the beginning of a stop waits.
    std::string push(std::string_view text);
    /// Ends the text: returns what waited.
    std::string flush();
    /// A stop was found. It and all after it is left out.
    bool stopped() const { return stopped_; }

  private:
    std::vector<std::string> stops_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace gemlet::server
