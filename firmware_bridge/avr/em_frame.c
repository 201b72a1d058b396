#include "em_frame.h"

uint16_t em_crc(const uint8_t *data, uint8_t size) {
    uint16_t crc = 0xFFFF;
    while (size--) {
        crc ^= (uint16_t)*data++ << 8;
        for (uint8_t bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return ~crc;
}

uint8_t em_stuff(uint8_t *frame, uint8_t size) {
    uint8_t last = size + 1;
    frame[0] = 0;
    for (uint8_t place = last; place--;)
        if (frame[place] == 0) {
            frame[place] = last - place;
            last = place;
        }
    return size + 1;
}

uint8_t em_unstuff(uint8_t *frame, uint8_t size) {
    uint8_t place = 0;
    while (place < size) {
        uint8_t step = frame[place];
        if (step == 0 || step > size - place)
            return 0;
        frame[place] = 0;
        place += step;
    }
    return size ? size - 1 : 0;
}
