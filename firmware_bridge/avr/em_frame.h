/* Frames on a serial line: COBS, and a CRC-16 within (docs/spec/serial.md). Every length fits in a byte. */
#ifndef EM_FRAME_H
#define EM_FRAME_H

#include <stdint.h>

/* CRC-16/GENIBUS; of "123456789" it is 0xD64E. */
uint16_t em_crc(const uint8_t *data, uint8_t size);

/* Stuff frame[1..size], at most 254 bytes; frame[0] and its zeros become steps. Returns the bytes between the two zeros. */
uint8_t em_stuff(uint8_t *frame, uint8_t size);

/* Undo it in place: of `size` stuffed bytes. Returns how many follow frame[0], or 0 if the frame is not whole. */
uint8_t em_unstuff(uint8_t *frame, uint8_t size);

#endif
