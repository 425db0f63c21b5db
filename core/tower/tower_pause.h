// What happens between two layers of an encoder: others have their turn on the workers, and whoever
// waits for the encoder may have gone.
#pragma once

#include <functional>

#include "core/threads/turn_lock.h"

namespace gemlet {

/// One encoding. The caller holds `turns` and gets it back.
class TowerPause {
  public:
    /// `cancelled` may be empty. Both must outlive the pause.
    TowerPause(TurnLock& turns, const std::function<bool()>& cancelled)
        : turns_(turns), cancelled_(cancelled) {}

    /// Returns whether to stop here: what is computed afterwards is of no use.
    bool stop() {
        turns_.unlock();
        turns_.lock();
        stopped_ = stopped_ || (cancelled_ && cancelled_());
        return stopped_;
    }
    bool stopped() const { return stopped_; }

  private:
    TurnLock& turns_;
    const std::function<bool()>& cancelled_;
    bool stopped_ = false;
};

}  // namespace gemlet
