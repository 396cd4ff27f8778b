"""What the demo's shop sells: coffee, tea, and what one makes and drinks them with."""

from dataclasses import dataclass

CURRENCY = "EUR"
LOW_STOCK_THRESHOLD = 2
TEA_HOUSE, POTTERY = "teehaus-nord", "kliff-keramik"


@dataclass(frozen=True, slots=True)
class ShelfItem:
    """A variant: `price` is a decimal string in `CURRENCY`, `units` is how many the shop receives on its first day.

    `vendor` is who sends it, where that is not the shop itself.
    """

    sku: str
    product: str
    variant: str
    price: str
    units: int
    vendor: str | None = None


SHELF = (
    ShelfItem("ESP-250", "Harbour Espresso", "250 g beans", "7.90", 60),
    ShelfItem("ESP-1000", "Harbour Espresso", "1 kg beans", "26.50", 30),
    ShelfItem("ESP-250-G", "Harbour Espresso", "250 g ground", "7.90", 40),
    ShelfItem("FIL-250", "Lighthouse Filter Roast", "250 g beans", "8.40", 60),
    ShelfItem("FIL-1000", "Lighthouse Filter Roast", "1 kg beans", "28.90", 25),
    ShelfItem("FIL-250-G", "Lighthouse Filter Roast", "250 g ground", "8.40", 40),
    ShelfItem("DEC-250", "Low Tide Decaf", "250 g beans", "8.90", 35),
    ShelfItem("DEC-250-G", "Low Tide Decaf", "250 g ground", "8.90", 35),
    ShelfItem("ETH-250", "Ethiopia Guji", "250 g beans", "11.50", 30),
    ShelfItem("ETH-250-G", "Ethiopia Guji", "250 g ground", "11.50", 20),
    ShelfItem("COL-250", "Colombia Huila", "250 g beans", "10.90", 30),
    ShelfItem("COL-250-G", "Colombia Huila", "250 g ground", "10.90", 20),
    ShelfItem("SEN-50", "Sencha", "50 g", "6.20", 45, TEA_HOUSE),
    ShelfItem("SEN-200", "Sencha", "200 g", "21.00", 20, TEA_HOUSE),
    ShelfItem("ASS-100", "Assam Breakfast", "100 g", "5.40", 60, TEA_HOUSE),
    ShelfItem("ASS-500", "Assam Breakfast", "500 g", "22.80", 25, TEA_HOUSE),
    ShelfItem("EGR-100", "Earl Grey", "100 g", "5.90", 60, TEA_HOUSE),
    ShelfItem("EGR-500", "Earl Grey", "500 g", "24.50", 25, TEA_HOUSE),
    ShelfItem("MIN-40", "Garden Mint", "40 g", "4.80", 50, TEA_HOUSE),
    ShelfItem("ROO-100", "Rooibos", "100 g", "4.60", 50, TEA_HOUSE),
    ShelfItem("PRESS-3", "French Press", "3 cups", "24.90", 20),
    ShelfItem("PRESS-8", "French Press", "8 cups", "34.90", 20),
    ShelfItem("DRIP-1", "Pour-over Dripper", "1 cup", "17.50", 30),
    ShelfItem("DRIP-2", "Pour-over Dripper", "2 cups", "21.50", 30),
    ShelfItem("FILTER-1", "Paper Filters", "100 for 1 cup", "4.20", 150),
    ShelfItem("FILTER-2", "Paper Filters", "100 for 2 cups", "4.90", 150),
    ShelfItem("GRIND-M", "Burr Grinder", "by hand", "69.00", 15),
    ShelfItem("GRIND-E", "Burr Grinder", "electric", "149.00", 10),
    ShelfItem("KETTLE", "Gooseneck Kettle", "1 l", "58.00", 15),
    ShelfItem("SCALE", "Brewing Scale", "0.1 g", "39.00", 20),
    ShelfItem("POT-800", "Tea Pot", "0.8 l", "32.00", 15, POTTERY),
    ShelfItem("POT-1200", "Tea Pot", "1.2 l", "38.00", 15, POTTERY),
    ShelfItem("MUG-W", "Stoneware Mug", "white", "12.50", 60, POTTERY),
    ShelfItem("MUG-G", "Stoneware Mug", "grey", "12.50", 60, POTTERY),
    ShelfItem("CUP-2", "Espresso Cups", "set of 2", "16.00", 40, POTTERY),
    ShelfItem("MUG-LTD", "Lighthouse Mug", "limited edition, signed", "24.00", 5, POTTERY),
)

LIMITED = SHELF[-1]
